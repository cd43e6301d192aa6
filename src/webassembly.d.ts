/** The parts of WebAssembly that are used here, and that Node's types leave to browsers'. */
declare namespace WebAssembly {
  class Memory<B extends ArrayBuffer | SharedArrayBuffer = ArrayBuffer> {
    /** Sizes in pages of 64 KiB. */
    constructor(descriptor: {
      readonly initial: number;
      readonly maximum?: number;
      readonly shared?: boolean;
    });
    readonly buffer: B;
  }

  class Module {
    constructor(bytes: Uint8Array);
  }

  class Instance {
    constructor(module: Module, imports: { readonly env: Readonly<Record<string, Memory>> });
    readonly exports: Readonly<Record<string, unknown>>;
  }
}
