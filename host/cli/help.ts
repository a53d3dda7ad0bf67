/** What the command line says when it is asked nothing. */
export const HELP: string = `utilization: how busy is every worker process, even when one is stuck

Usage: utilization <command> [options]
  run        copies of any command, with a supervisor that sees them
  top        live table of the workers of a running supervisor
  demo       HTTP servers of two services under load, in a live table
  supervise  take in workers, and print a line of JSON every interval
  status     ask a running supervisor, and print its answer as JSON
  inspect    read the file of a supervisor that is gone
  doctor     what is wrong here, and how to put it right

See it work:           npx utilization-monitor demo --block
Options of a command:  utilization <command> --help
Version:               utilization --version
`;

export const RUN_HELP: string = `Usage: utilization run [options] -- command [arguments]

Starts a supervisor and copies of a command. Those of Node.js are instrumented
without a change; others find the supervisor by $UTILIZATION_SUPERVISOR. Each
has its number in $UTILIZATION_WORKER, and its name before what it writes.

  --workers N          how many; "max": one for each processor (1)
  --name NAME          the service, and its supervisor for "status --name NAME"
                       ($UTILIZATION_NAME, the package, the command; default)
  --cluster            a script of Node.js: the workers share its ports, as with
                       node:cluster; --workers is "max" then
  --restart WHEN       on-failure, always, never; 0 is no failure (on-failure)
  --grace DURATION     from SIGTERM to SIGKILL (10s)
  --http ADDRESS, --http-host NAMES, --metrics-namespace NAME
                       a page, JSON, metrics and events, as for "supervise"
  --json               prints lines of JSON, as "supervise" does; what workers
                       write all goes to standard error
  --raw                workers write for themselves, without their names
  --auto, --no-auto    instruments every command, or none
  --keep               leaves file and journal, for totals to go on
  --dir, --socket, --path, --interval, --size, --segment-size, --max-size,
  --mode, --group, --leak-window
                       as for "supervise"
  --help               this text

A worker that crashes is started again after 0.1 s, then ever later, up to 30 s.
SIGHUP replaces all, one by one; where a replacement fails, the others stay.
SIGTERM and SIGINT end all, a second one at once. SIGUSR1 and SIGUSR2 go to all.

Exit code: 0 when all ended in time, 1 when one was killed, 128 + the signal
that killed all. Not stopped: the code that all workers ended with, 1 if they
differ. 127 when there is no such command, 126 when it cannot be executed.
`;

export const SUPERVISE_HELP: string = `Usage: utilization supervise [options]

Takes in workers, and prints a line of JSON at once and then every interval:
{"time": …, "type": "utilization_monitor",
 "data": {service: {field: sum of the live workers, …, "worker_count": n}},
 "stalled": {service: workers whose event loop stands still},
 "text": {service: {field: text}}, "leaking": {service: {field: workers}},
 "totals": {service: {counter: sum of all workers there ever were, …}}}
"text" and "leaking" are left out where there is none. The log goes to standard
error. Ctrl-C or SIGTERM ends it.

  --name NAME          tells supervisors of one folder apart (default)
  --dir DIR            folder of the socket NAME.ipc and the file NAME.shm
                       ($UTILIZATION_DIR, $RUNTIME_DIRECTORY,
                       $XDG_RUNTIME_DIR/utilization, or a temporary one)
  --socket PATH        socket to listen on, together with
  --path PATH          shared file to create, in place of --name and --dir
  --interval DURATION  500ms, 10s, 2m; a bare number is in seconds (10s)
  --size SIZE          size of the file at first: 512, 32KiB, 64MiB (32KiB)
  --segment-size SIZE  bytes for each worker, a multiple of 64 (512)
  --max-size SIZE      size beyond which the file does not grow (64MiB)
  --mode MODE          who may use socket and file, in octal (0600)
  --group GROUP        group of socket and file, by name or number
  --leak-window DURATION
                       how long a gauge of what is in flight may stay above its
                       lowest value before its worker is told as leaking; 0 for
                       never (10m)
  --http ADDRESS       serves a page, JSON, metrics and events over HTTP; 9464
                       and :9464 are on loopback, else HOST:PORT (off)
  --http-host NAMES    names, separated by commas, that HTTP clients may call
                       this machine by
  --metrics-namespace NAME
                       what names of metrics begin with; "" for none
                       (utilization)
  --help               this text
`;

export const STATUS_HELP: string = `Usage: utilization status [options]

Asks a running supervisor and prints its status as JSON: an array, one entry for
each of its monitors. Integers have all their digits. "stalled" counts workers
whose event loop stands still, by service.

  --name NAME    which supervisor of the folder (default)
  --dir DIR      folder of its socket NAME.ipc
  --socket PATH  its socket, in place of --name and --dir
                 (else $UTILIZATION_SUPERVISOR, or as for "supervise")
  --totals       adds counters of all workers there ever were
  --by-worker    adds the values of each worker, and for how many seconds it has
                 been stalled: "stalledFor", null where that cannot be known;
                 "text" it says of itself, and the least it has in flight of
                 what is "leaking", where there is any
  --help         this text
`;

export const INSPECT_HELP: string = `Usage: utilization inspect PATH [options]

Reads a shared file and the journal beside it, PATH.journal, whether or not
their supervisor and its workers live: what was counted when everybody died.

  --by-worker  adds the values of each worker that was registered
  --json       prints JSON: data, totals and, with --by-worker, workers;
               integers have all their digits
  --help       this text
`;

export const DOCTOR_HELP: string = `Usage: utilization doctor [options]

Looks at everything that a supervisor and its workers need here: the runtime,
how it maps files, the folder and what is in it, a supervisor that runs, and the
limits of the system. Each line says "ok", or what is wrong and what helps.
It writes one small file into the folder, and removes it.

  --name NAME    which supervisor of the folder (default)
  --dir DIR      folder of its socket NAME.ipc and its file NAME.shm
  --socket PATH  its socket, in place of --name and --dir
                 (else $UTILIZATION_SUPERVISOR, or as for "supervise")
  --path PATH    its file, where that is not NAME.shm beside the socket
  --json         prints JSON: {"errors": n, "warnings": n, "findings":
                 [{"group": …, "check": …, "level": "ok", "warning" or "error",
                 "message": …, "fix": …}]}
  --help         this text

Run it as the user of the service, with its environment and in its container.
Exit code: 0, or 1 with an error; warnings are none.
`;

export const TOP_HELP: string = `Usage: utilization top [options]

Shows the services of a running supervisor in a live table, and below each its
workers: every field, how fast counters rise, and who is stalled and for how
long. The keys are in its last line; ? shows all of them.
Where there is no terminal it prints one such table, as with --once.

  --name NAME          which supervisor of the folder (default)
  --dir DIR            folder of its socket NAME.ipc
  --socket PATH        its socket, in place of --name and --dir
                       (else $UTILIZATION_SUPERVISOR, or as for "supervise")
  --file PATH          a shared file, in place of a supervisor: PATH.journal is
                       beside it, and nobody needs to be alive
  --interval DURATION  how often it looks: 500ms, 1s, 2m (1s)
  --once               prints one table, after two looks one interval apart
  --json               prints a line of JSON for each look; with --once for the
                       second one only: {"time": …, "services": {service:
                       {"worker_count": n, "stalled_count": n, "values": {…},
                       "rates": {counter: per second}, "utilization": {…}}},
                       "workers": [{"processId": …, "service": …, …}]}
  --help               this text

A value of all workers is a sum; for fields in 0..1, named …_utilization or
…_ratio, the table has the mean. Colors are off where NO_COLOR is set.
`;

export const DEMO_HELP: string = `Usage: utilization demo [options]

Runs a supervisor, HTTP servers of two services and a load generator, and shows
them in a live table. Where there is no terminal it prints lines of JSON, as
"supervise" does. Ctrl-C ends every process that it started.

  --workers N          how many servers, in total (4)
  --interval DURATION  500ms, 1s; a bare number is in seconds (1s)
  --duration DURATION  ends by itself after this time
  --block              puts one server into an endless loop
  --json               prints lines of JSON on a terminal, too
  --help               this text
`;
