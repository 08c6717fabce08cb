/** One table of our own, `inet cybermesh`, through `nft`: every batch is one process and one transaction. */
import { ok } from '#proto/result.ts';
import type { Backend } from '../backend.ts';
import { nftLayout } from './nft-layout.ts';
import { parseListing } from './nft-listing.ts';
import { changeScript, OURS, presenceScript, removalScript, tableScript } from './nft-script.ts';
import { type Program, program } from './program.ts';
import { type FirewallOptions, setBackend } from './set-backend.ts';

/** Of the burst of a limit, 32 bits. */
const LIMIT_PACKETS_MAX = 4_294_967_295;

export const nftablesBackend = ({ failsafe, netns, timeoutMs, now }: FirewallOptions): Backend => {
  const nft = program({ name: 'nft', packageName: 'nftables', netns, timeoutMs });
  const script = async (text: string, ...options: readonly string[]) => {
    const run = await nft([...options, '-f', '-'], text);
    return run.ok ? ok(undefined) : run;
  };
  return setBackend(
    {
      name: 'nftables',
      layout: nftLayout,
      refuses: (claims) =>
        claims.some(({ effect }) => effect.packets > LIMIT_PACKETS_MAX)
          ? `nft limits to at most ${LIMIT_PACKETS_MAX} packets`
          : undefined,
      // `-c` asks the kernel and changes nothing.
      probe: () => script(`add table ${OURS}`, '-c'),
      read: (atMs) => read(nft, atMs),
      replace: (sets, packets, atMs) => script(tableScript(sets, failsafe, packets, atMs)),
      change: (changes, atMs) => script(changeScript(changes, atMs)),
      confirm: (changes) => script(presenceScript(changes)),
      remove: () => script(removalScript),
    },
    now,
  );
};

const read = async (nft: Program, atMs: number) => {
  const listed = await nft(['-j', '-n', 'list', 'table', ...OURS.split(' ')]);
  if (listed.ok) return ok(parseListing(listed.value, atMs));
  return /no such file or directory/i.test(listed.error.text) ? ok(undefined) : listed;
};
