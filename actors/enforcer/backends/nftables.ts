/** One table of our own, `inet cybermesh`, through `nft`: every batch is one process and one transaction. */
import { ok } from '#proto/result.ts';
import type { Backend } from '../backend.ts';
import { nftLayout } from './nft-layout.ts';
import { parseListing } from './nft-listing.ts';
import { changeScript, FAMILY, OURS, removalScript, tableScript } from './nft-script.ts';
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
      // Without elements. Only of a whole ruleset nft does not read them all the same; asked for
      // one element it reads the whole set, asked for 256 at once it crashes (1.0.6).
      confirm: async () => {
        const listed = await nft(['-j', '-n', '-t', 'list', 'ruleset', FAMILY]);
        return listed.ok ? ok(parseListing(listed.value, 0).structure) : listed;
      },
      remove: () => script(removalScript),
    },
    now,
  );
};

/** Of the table; a namespace that is not there is another matter. */
const ABSENT = /Error: (?:Could not process rule: )?No such file or directory/;

const read = async (nft: Program, atMs: number) => {
  const listed = await nft(['-j', '-n', 'list', 'table', ...OURS.split(' ')]);
  if (listed.ok) return ok(parseListing(listed.value, atMs));
  return ABSENT.test(listed.error.text) ? ok(undefined) : listed;
};
