import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import type { FileCalls } from "./types.ts";

/** The calls of `node:fs`. */
export const nodeCalls: FileCalls = {
  open(path, { write, create }) {
    let flags = write ? constants.O_RDWR : constants.O_RDONLY;
    // O_NONBLOCK: a pipe put in the file's place cannot make us wait. Regular files ignore it.
    flags |= constants.O_NOFOLLOW | constants.O_NONBLOCK;
    if (create !== undefined) flags |= constants.O_CREAT | constants.O_EXCL;
    return openSync(path, flags, create);
  },

  status(descriptor) {
    const stat = fstatSync(descriptor, { bigint: true });
    return {
      size: Number(stat.size),
      inode: stat.ino,
      device: stat.dev,
      ownerId: Number(stat.uid),
      mode: Number(stat.mode) & 0o7777,
      linkCount: Number(stat.nlink),
      isFile: stat.isFile(),
    };
  },

  size: (descriptor) => fstatSync(descriptor).size,
  changeMode: fchmodSync,
  resize: ftruncateSync,
  close: closeSync,

  read: (descriptor, target, position) => readSync(descriptor, target, 0, target.length, position),
  write: (descriptor, source, position) =>
    writeSync(descriptor, source, 0, source.length, position),
};
