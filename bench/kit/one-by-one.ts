/** What a firewall takes when every rule is a process of its own: the baseline of bench/enforce*.ts. */
import { execFileSync } from 'node:child_process';

const RULES = 100;

const inside = (netns: string, words: readonly string[]): void => {
  execFileSync('ip', ['netns', 'exec', netns, ...words], { stdio: 'pipe' });
};

const WAYS: readonly (readonly [name: string, rule: (address: string) => readonly string[]])[] = [
  ['nft', (address) => ['nft', `add rule inet one input ip saddr ${address} drop`]],
  ['iptables', (address) => ['iptables', '-A', 'INPUT', '-s', address, '-j', 'DROP']],
];

/** Rules a second, by program, in a namespace that is thrown away afterwards. */
export const oneByOne = (netns: string): readonly (readonly [name: string, rate: number])[] => {
  const chain = 'add chain inet one input { type filter hook input priority 0; }';
  inside(netns, ['nft', `add table inet one; ${chain}`]);
  return WAYS.map(([name, rule]) => {
    const beganMs = performance.now();
    for (let k = 0; k < RULES; k++) inside(netns, rule(`10.0.${k >> 8}.${k & 255}`));
    return [name, (RULES / (performance.now() - beganMs)) * 1000] as const;
  });
};
