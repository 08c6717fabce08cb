export { bus } from '#runtime/bus/protocol.ts';
