/** The ways to map a file. `"none"` is positional file I/O, which every runtime has. */
export type MappingName = "mmap-io" | "koffi" | "deno" | "none";
