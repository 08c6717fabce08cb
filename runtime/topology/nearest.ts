/** What somebody probably meant: unknown names, units in names, durations written as text. */

const UNITS: { readonly [suffix: string]: string } = {
  Ms: 'milliseconds',
  S: 'seconds',
  Min: 'minutes',
  Bytes: 'bytes',
  KiB: 'KiB',
  MiB: 'MiB',
  Ppm: 'parts per million',
  PerSecond: 'a second',
  PerMinute: 'a minute',
  Percent: 'percent',
};

/** Suffixes that people write, the declared ones and their relatives. */
const SUFFIX =
  /^(.+?)(PerSecond|PerMinute|Percent|Milliseconds|Millis|Seconds|Minutes|Bytes|KiB|MiB|Kb|Mb|Min|Sec|Secs|Ms|Us|Ppm|S|M)$/;

const base = (name: string): string => (SUFFIX.exec(name)?.[1] ?? name).toLowerCase();

/** The unit that a name ends in, in words; undefined when it ends in none. */
export const unitOf = (name: string): string | undefined => {
  const suffix = Object.keys(UNITS).find(
    (unit) => name.endsWith(unit) && name.length > unit.length,
  );
  return suffix === undefined ? undefined : UNITS[suffix];
};

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
export const distance = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, k) => k)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        rows[i - 1]![j]! + 1,
        row[j - 1]! + 1,
        rows[i - 1]![j - 1]! + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      }
      row.push(cost);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
};

/** The known name that is closest, when it is close enough to be a slip of the pen. */
export const closest = (name: string, known: readonly string[]): string | undefined => {
  const squash = (word: string): string => word.toLowerCase().replaceAll(/[-_]/g, '');
  const ranked = known
    .map((one) => ({ one, edits: distance(squash(name), squash(one)) }))
    .sort((a, b) => a.edits - b.edits || a.one.localeCompare(b.one));
  const best = ranked[0];
  if (best === undefined || best.edits >= name.length) return undefined;
  return best.edits <= Math.max(1, Math.floor(name.length / 3)) ? best.one : undefined;
};

/** `; did you mean timeoutMs (milliseconds)?`, or the list of what is known, or nothing. */
export const didYouMean = (name: string, known: readonly string[]): string => {
  const sameBase = known.find((one) => unitOf(one) !== undefined && base(one) === base(name));
  const best = sameBase ?? closest(name, known);
  if (best !== undefined) {
    const unit = best === sameBase ? unitOf(best) : undefined;
    return `; did you mean ${best}${unit === undefined ? '' : ` (${unit})`}?`;
  }
  if (known.length === 0) return '';
  return `; known here: ${[...new Set(known)].sort().slice(0, 24).join(', ')}`;
};

const SCALE_MS: { readonly [unit: string]: number } = {
  us: 0.001,
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const SCALE_BYTES: { readonly [unit: string]: number } = {
  b: 1,
  k: 1024,
  kb: 1024,
  kib: 1024,
  m: 1048576,
  mb: 1048576,
  mib: 1048576,
  g: 1073741824,
  gb: 1073741824,
  gib: 1073741824,
};

/** What to write instead of `1s` or `8 MiB` where a bare number of the name's unit is expected. */
export const bareNumber = (name: string, written: unknown): string => {
  const unit = unitOf(name);
  if (unit === undefined || typeof written !== 'string') return '';
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*$/.exec(written);
  if (match === null) return ` of ${unit}`;
  const value = Number(match[1]);
  const word = match[2]!.toLowerCase();
  const scale: { readonly [unit: string]: number } | undefined =
    unit === 'milliseconds' || unit === 'seconds' || unit === 'minutes'
      ? SCALE_MS
      : unit === 'bytes'
        ? SCALE_BYTES
        : undefined;
  const factor = word === '' ? undefined : scale?.[word];
  const divisor = unit === 'seconds' ? 1000 : unit === 'minutes' ? 60_000 : 1;
  const bare = word === '' ? value : factor === undefined ? undefined : (value * factor) / divisor;
  return ` of ${unit}${bare === undefined ? '' : `; write ${bare}`}`;
};

/** Names of the first CyberMesh that people may still have in their files, and what became of them. */
const FORMER: { readonly [name: string]: string } = {
  quorum_size:
    'the quorum is not a setting: it is floor(2W/3)+1 of the voting power, from the genesis file',
  node_id: 'a validator is named by its branch in the tree and known by its key: set node.name',
  node_type: 'what a node is follows from the actors in its topology file',
  min_reputation: 'the minimum reputation is a parameter of the genesis file',
  cluster_topology: 'the topology file is the argument of the start command',
  mempool_max_txs: 'it is a setting of the ingest actor, e.g. v1.ingest.config',
  mempool_max_bytes: 'it is a setting of the ingest actor, e.g. v1.ingest.config',
  mempool_nonce_ttl: 'it is a parameter of the genesis file (nonceTtlMs)',
  mempool_rate_per_second: 'the quota of a producer stands in the genesis file (quotaPerMinute)',
  telemetry_batch_size: 'it is a setting of the telemetry actor, detection.telemetry.config',
  log_level: 'write node.logLevel (debug, info, warn or error)',
  audit_log_path: 'audit entries are kept by their owners under node.dataDir',
  audit_signing_key: 'keys stand under node.dataDir in keys/',
  allowed_ips: 'the list of addresses belongs to the api section',
};

/** A sentence for a name of the first CyberMesh; undefined for any other. */
export const formerName = (name: string): string | undefined =>
  FORMER[name.toLowerCase().replace(/^cybermesh_/, '')];
