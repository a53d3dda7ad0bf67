/** What one frame may cost this side. */
export interface FrameLimits {
  /** Bytes in the payload of a frame (default 1 MiB). */
  readonly frameSize?: number;
  /** Arrays, maps and extensions in each other (default 32). */
  readonly nesting?: number;
  /** Values in a frame, each present in its bytes (default 131 072). */
  readonly values?: number;
}

/** What one connection may cost this side. */
export interface ConnectionLimits extends FrameLimits {
  /** Calls of the peer that are being served (default 256). */
  readonly serving?: number;
  /** Calls to the peer that wait for their answer (default 1024). */
  readonly calls?: number;
  /**
   * Bytes in a frame to the peer (default 64 MiB). Ruby reads frames of any length, and whoever
   * asks for the status of thousands of workers wants the answer.
   */
  readonly sentFrameSize?: number;
  /** Bytes that the peer has not read (default 1 MiB). A first frame always goes out. */
  readonly unsentSize?: number;
  /** Objects without a name that the peer holds (default 1024). */
  readonly temporaries?: number;
  /** How long an accepted peer may take for its first whole frame (default 10 000). */
  readonly firstFrameMs?: number;
  /**
   * How long an accepted peer may take from the first byte of a later frame to its last (default
   * 10 000). A worker may take as long as it likes: it may have been stopped.
   */
  readonly frameMs?: number;
}
