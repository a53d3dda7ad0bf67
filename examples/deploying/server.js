// A server as people have it: it knows nothing of supervisors. What the forms beside it deploy.

import { createServer } from "node:http";

const { PORT = "8080", HOST = "127.0.0.1" } = process.env;
const server = createServer((request, response) => {
  if (request.url === "/block") for (;;);
  response.end(`${process.pid}\n`);
});
server.listen(Number(PORT), HOST, () => console.log(`port ${server.address().port}`));
