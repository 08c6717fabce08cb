/** What a policy asks of a firewall, in the firewall's terms: addresses, protocols, ports, direction. Pure. */
import { ADDRESS_BYTES, type Address, type Cidr, familyOf, formatIp } from '#proto/ip.ts';
import { type PolicyRule, RATE_LIMIT_PACKETS, targetNetworks } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';

export type Family = 4 | 6;
/** `in`: packets from the target; `out`: packets to it. */
export type Direction = 'in' | 'out';

export type Effect = {
  readonly action: 'drop' | 'reject' | 'rate_limit';
  /** Counts what it would have dropped and lets it pass. */
  readonly dryRun: boolean;
  /** Of a rate_limit: so many packets a window pass; else 0. */
  readonly packets: number;
  readonly windowS: number;
};

/** One network of one policy. Addresses are numbers of the family's own size. */
export type Claim = {
  readonly family: Family;
  readonly direction: Direction;
  readonly effect: Effect;
  readonly low: bigint;
  readonly high: bigint;
  /** Within the family. */
  readonly prefix: number;
  /** IANA number; undefined for all of them. */
  readonly protocol: number | undefined;
  /** Both ends included; undefined for all of them, and for protocols without ports. */
  readonly ports: { readonly from: number; readonly to: number } | undefined;
};

/** IANA protocol numbers of the names that a rule may use. */
const PROTOCOLS: ReadonlyMap<string, number> = new Map([
  ['icmp', 1],
  ['igmp', 2],
  ['tcp', 6],
  ['udp', 17],
  ['dccp', 33],
  ['gre', 47],
  ['esp', 50],
  ['ah', 51],
  ['icmpv6', 58],
  ['ipv6-icmp', 58],
  ['sctp', 132],
  ['udplite', 136],
]);
const ICMP = 1;
const ICMPV6 = 58;
const TCP = 6;
const UDP = 17;
const WITH_PORTS: ReadonlySet<number> = new Set([TCP, UDP, 33, 132, 136]);
const EVERY_PROTOCOL: ReadonlySet<string> = new Set(['any', 'all', '*']);
const PROTOCOL_MAX = 255;
const V4_MASK = 0xffff_ffffn;
const BYTE_BITS = 8n;

/** What the firewall of a host cannot do is said, not left out. */
export const claimsOf = (rule: PolicyRule): Result<readonly Claim[], string> => {
  const { target } = rule;
  if (rule.action === 'remove') return err('a removal asks for nothing');
  if (Object.keys(target.selectors ?? {}).length > 0 || target.namespace !== undefined) {
    return err('selectors and namespaces need a backend that knows workloads');
  }
  const protocols = protocolsOf(target.protocols ?? []);
  if (!protocols.ok) return protocols;
  const shapes = shapesOf(protocols.value, target.ports ?? []);
  if (!shapes.ok) return shapes;
  const effect = effectOf(rule);
  const directions = directionsOf(target.direction);
  return ok(
    targetNetworks(target).flatMap((network) =>
      directions.flatMap((direction) =>
        shapes.value.map((shape) => claimOf(network, direction, effect, shape)),
      ),
    ),
  );
};

/** Without a direction the target is cut off: nothing from it, nothing to it. */
const directionsOf = (direction: PolicyRule['target']['direction']): readonly Direction[] => {
  if (direction === undefined) return ['in', 'out'];
  return direction === 'ingress' ? ['in'] : ['out'];
};

const effectOf = ({ action, criteria, guardrails }: PolicyRule): Effect => {
  const dryRun = guardrails.dry_run === true;
  if (action !== 'rate_limit') {
    return { action: action === 'reject' ? 'reject' : 'drop', dryRun, packets: 0, windowS: 0 };
  }
  const { attempts_per_window: packets = RATE_LIMIT_PACKETS, window_s: windowS = 1 } =
    criteria ?? {};
  return { action, dryRun, packets, windowS };
};

/** Empty for all of them. */
export const protocolsOf = (names: readonly string[]): Result<readonly number[], string> => {
  const numbers = new Set<number>();
  for (const name of names) {
    const lower = name.toLowerCase();
    if (EVERY_PROTOCOL.has(lower)) return ok([]);
    const number = PROTOCOLS.get(lower) ?? (/^\d{1,3}$/.test(lower) ? Number(lower) : undefined);
    if (number === undefined || number > PROTOCOL_MAX) return err(`unknown protocol ${name}`);
    numbers.add(number);
  }
  return ok([...numbers]);
};

/** Those of the protocols that have ports, for a rule that names ports; no protocols at all are TCP and UDP. */
export const carriersOf = (protocols: readonly number[]): readonly number[] =>
  (protocols.length === 0 ? [TCP, UDP] : protocols).filter((number) => WITH_PORTS.has(number));

type Shape = Pick<Claim, 'protocol' | 'ports'>;

const shapesOf = (
  protocols: readonly number[],
  ports: NonNullable<PolicyRule['target']['ports']>,
): Result<readonly Shape[], string> => {
  if (ports.length === 0) {
    if (protocols.length === 0) return ok([{ protocol: undefined, ports: undefined }]);
    return ok(protocols.map((protocol) => ({ protocol, ports: undefined })));
  }
  const carriers = carriersOf(protocols);
  if (carriers.length === 0) return err('none of the protocols has ports');
  return ok(
    carriers.flatMap((protocol) =>
      ports.map((port) => ({
        protocol,
        ports: typeof port === 'number' ? { from: port, to: port } : port,
      })),
    ),
  );
};

const claimOf = (network: Cidr, direction: Direction, effect: Effect, shape: Shape): Claim => {
  const { family, prefix } = familyOf(network);
  const low = numberOf(network.address) & (family === 4 ? V4_MASK : -1n);
  const size = 1n << BigInt((family === 4 ? 32 : 128) - prefix);
  const { protocol, ports } = shape;
  return {
    family,
    direction,
    effect,
    low,
    high: low + size - 1n,
    prefix,
    // One word for the operator, two protocols on the wire.
    protocol: family === 6 && protocol === ICMP ? ICMPV6 : protocol,
    ports,
  };
};

const numberOf = (address: Address): bigint => {
  let value = 0n;
  for (const byte of address) value = (value << BYTE_BITS) | BigInt(byte);
  return value;
};

/** The one spelling of an address of a family. */
export const addressText = (family: Family, value: bigint): string => {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  let rest = family === 4 ? value | (0xffffn << 32n) : value;
  for (let k = ADDRESS_BYTES - 1; k >= 0; k--) {
    bytes[k] = Number(rest & 0xffn);
    rest >>= BYTE_BITS;
  }
  return formatIp(bytes);
};

/** As in the name of a set: `drop`, `dry_reject`, `limit_100_1`. */
export const effectName = ({ action, dryRun, packets, windowS }: Effect): string => {
  const name = action === 'rate_limit' ? `limit_${packets}_${windowS}` : action;
  return dryRun ? `dry_${name}` : name;
};

/**
 * A token bucket in the words of netfilter: whole packets a unit, with the allowance of one window as
 * burst. The rate is rounded to the nearest that netfilter can say and is at least one packet a day.
 */
export const rateOf = ({
  packets,
  windowS,
}: Effect): { readonly rate: number; readonly unit: 'second' | 'minute' | 'hour' | 'day' } => {
  const units = [
    ['second', 1],
    ['minute', 60],
    ['hour', 3600],
  ] as const;
  for (const [unit, seconds] of units) {
    const rate = (packets * seconds) / windowS;
    if (Number.isInteger(rate)) return { rate, unit };
  }
  return { rate: Math.max(1, Math.round((packets * 86_400) / windowS)), unit: 'day' };
};
