/** How far consumers are behind, as gauges: one a group (all its topics together), and the largest of all. */
const LARGEST = 'lag_records';
const GROUPS_MAX = 64;
/** The metrics of a thread hold names of 56 bytes. */
const NAME_MAX = 48;

const word = (name: string): string => name.replaceAll(/[^A-Za-z0-9]+/g, '_');

const sum = (values: Iterable<number>): number => {
  let all = 0;
  for (const value of values) all += value;
  return all;
};

/** `gauge` is told when a figure has changed; groups after the 64th count for the largest only. */
export const lagGauges = (gauge: (name: string, value: number) => void) => {
  const groups = new Map<string, Map<string, number>>();
  const sums = new Map<string, number>();
  return (topic: string, group: string, records: number): void => {
    const topics = groups.get(group) ?? new Map<string, number>();
    groups.set(group, topics);
    if (topics.get(topic) === records) return;
    topics.set(topic, records);
    const behind = sum(topics.values());
    sums.set(group, behind);
    if (sums.size <= GROUPS_MAX) gauge(`${LARGEST}_${word(group)}`.slice(0, NAME_MAX), behind);
    gauge(LARGEST, Math.max(...sums.values()));
  };
};
