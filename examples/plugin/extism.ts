// What Extism gives to a plug-in. Its memory is not ours: addresses are 64 bits wide, and calls
// read and write it. Not for Biome, which cannot parse a decorator on a function.

@external("extism:host/env", "input_length")
export declare function inputLength(): i64;

@external("extism:host/env", "input_load_u64")
export declare function inputLoadWord(offset: i64): i64;

@external("extism:host/env", "alloc")
export declare function hostAllocate(length: i64): i64;

@external("extism:host/env", "store_u8")
export declare function hostStoreByte(address: i64, value: i32): void;

@external("extism:host/env", "store_u64")
export declare function hostStoreWord(address: i64, value: i64): void;

@external("extism:host/env", "output_set")
export declare function outputSet(address: i64, length: i64): void;

@external("extism:host/env", "error_set")
export declare function errorSet(address: i64): void;
