interface ViewConstructor<View> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): View;
  readonly BYTES_PER_ELEMENT: number;
}

/**
 * Memory that metrics keep their values in: a segment of the shared file, its image, or memory of
 * a registry's own. Metrics share the typed arrays over it.
 */
export class Cells {
  readonly bytes: Uint8Array;
  readonly #views = new Map<unknown, unknown>();

  /** `bytes` must start at a multiple of 8 in its buffer, and in the file. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Zeroed memory for `size` bytes. */
  static allocate(size: number): Cells {
    return new Cells(new Uint8Array(new ArrayBuffer(Math.ceil(size / 8) * 8)));
  }

  /** A typed array over the whole elements in this memory, the same one at each call. */
  view<View>(Type: ViewConstructor<View>): View {
    let view = this.#views.get(Type) as View | undefined;
    if (view === undefined) {
      const { buffer, byteOffset, length } = this.bytes;
      view = new Type(buffer, byteOffset, Math.floor(length / Type.BYTES_PER_ELEMENT));
      this.#views.set(Type, view);
    }
    return view;
  }

  /** Copies an aligned value from other memory, with one store. */
  copy(source: Cells, sourceOffset: number, offset: number, size: number): void {
    switch (size) {
      case 1:
        this.view(Uint8Array)[offset] = source.view(Uint8Array)[sourceOffset]!;
        break;
      case 2:
        this.view(Uint16Array)[offset / 2] = source.view(Uint16Array)[sourceOffset / 2]!;
        break;
      case 4:
        this.view(Uint32Array)[offset / 4] = source.view(Uint32Array)[sourceOffset / 4]!;
        break;
      case 8:
        this.view(BigUint64Array)[offset / 8] = source.view(BigUint64Array)[sourceOffset / 8]!;
        break;
    }
  }
}
