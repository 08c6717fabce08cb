/**
 * `node probe.js <url>`: exit 0 when the answer is 2xx, else 1. For probes of a container whose API listens on the
 * loopback only; plain JavaScript, so that it starts at once.
 */
const answer = await fetch(process.argv[2], { signal: AbortSignal.timeout(4000) }).catch(
  () => undefined,
);
process.exit(answer?.ok ? 0 : 1);
