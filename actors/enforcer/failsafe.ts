/** Ports of the node itself that stay open whatever a policy says. Pure. */

/** Both ends included. */
export type FailsafePorts = {
  readonly protocol: 'tcp' | 'udp';
  readonly from: number;
  readonly to: number;
};

/** `tcp/22` or `udp/67-68`. */
export const FAILSAFE_PATTERN = /^(tcp|udp)\/(\d{1,5})(?:-(\d{1,5}))?$/;
const PORT_MAX = 65_535;

/** ssh, DHCP for both families, p2p, the API, PostgreSQL, CockroachDB, Kafka. */
export const FAILSAFE_DEFAULT: readonly string[] = [
  'tcp/22',
  'udp/67-68',
  'udp/546-547',
  'tcp/7001-7004',
  'tcp/9441',
  'tcp/5432',
  'tcp/26257',
  'tcp/9092-9094',
];

/** undefined for a text that names no ports. */
export const parseFailsafe = (text: string): FailsafePorts | undefined => {
  const [, protocol, first, last = first] = FAILSAFE_PATTERN.exec(text) ?? [];
  if (protocol !== 'tcp' && protocol !== 'udp') return undefined;
  const from = Number(first);
  const to = Number(last);
  return from > to || to > PORT_MAX ? undefined : { protocol, from, to };
};

/** `22,67-68`, with the word between the ends of a range that the firewall's language has; '' for none. */
export const portList = (
  ports: readonly FailsafePorts[],
  protocol: FailsafePorts['protocol'],
  between: string,
): readonly string[] =>
  ports
    .filter((one) => one.protocol === protocol)
    .map(({ from, to }) => (from === to ? `${from}` : `${from}${between}${to}`));
