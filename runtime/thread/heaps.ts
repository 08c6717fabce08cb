/** How much memory the heap of a thread begins with. */
import { setFlagsFromString } from 'node:v8';

/**
 * V8 lets the young generation of a quiet thread shrink to 1 MiB and then collects it about once a second, which was a
 * sixth of what an idle node costs (bench/idle.ts). One of 4 MiB is collected every few seconds.
 */
const SEMI_SPACE_MIN_MIB = 4;

/** For the threads that are born from now on. */
export const widenYoungHeaps = (): void => {
  setFlagsFromString(`--min-semi-space-size=${SEMI_SPACE_MIN_MIB}`);
};
