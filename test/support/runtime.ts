/** Whether these tests run in Deno. */
export const isDeno: boolean = "Deno" in globalThis;
