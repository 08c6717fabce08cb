import { execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { F, FEATURE_COUNT, FLOW } from '#proto/flow-batch.ts';
import { fillFlowTable } from '#test/kit/flow-table.ts';
import {
  hasPostgres,
  NEEDS_POSTGRES,
  type PostgresServer,
  postgresServer,
} from '#test/kit/postgres.ts';
import { ROOT } from '#test/kit/processes.ts';
import { type ReadBatch, telemetryReader } from '#test/kit/telemetry-reader.ts';

const ROWS = 200_000;
const PROCESS = join(ROOT, 'test/kit/table-process.ts');
let server: PostgresServer;
let folder = '';

const sourceOf = (table: string, settings: object = {}) => ({
  ...{ kind: 'postgres', url: server.url, table, pollMs: 0, ...settings },
});

/** Numbers of the rows of a batch, from 1 in the order of the key. */
const numbersOf = ({ batch }: ReadBatch): number[] => {
  if (batch.shape !== 'rows') return [];
  const view = new DataView(batch.columns.buffer, batch.columns.byteOffset);
  return Array.from({ length: batch.count }, (_, row) => FLOW.get.originNumber(view, row));
};

/** Reads what there is; closes it. */
const readAll = async (source: object, dataDir = folder) => {
  const reader = await telemetryReader(dataDir, source);
  const numbers: number[] = [];
  await reader.read((batch) => {
    for (const number of numbersOf(batch)) numbers.push(number);
    return 'on';
  });
  await reader.adapter.close?.();
  return { ...reader, numbers };
};

/** `<name>.crt` and `<name>.key` for this machine, of no authority that anybody trusts. */
const selfSigned = (place: string, name: string): void => {
  const how = ['req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-days', '2', '-subj'];
  const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`];
  const host = ['/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', [...how, ...host, ...files], { cwd: place, stdio: 'pipe' });
};

type Line = { from?: number; to?: number; sha?: string; settled?: boolean; end?: boolean };

/** One run of a reading process, killed with kill -9 after so many batches (0: never). */
const run = async (segmentRows: number, killAfter: number): Promise<readonly Line[]> => {
  const args = [PROCESS, folder, server.url, 'flows', String(segmentRows)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: Line[] = [];
  let batches = 0;
  for await (const text of createInterface({ input: child.stdout })) {
    const line = JSON.parse(text) as Line;
    lines.push(line);
    if (line.sha !== undefined) batches += 1;
    if (killAfter > 0 && batches >= killAfter) child.kill('SIGKILL');
  }
  return lines;
};

describe.skipIf(!hasPostgres)(`a table of flows ${NEEDS_POSTGRES}`, () => {
  beforeAll(async () => {
    server = await postgresServer();
    await fillFlowTable(server, 'flows', ROWS);
  }, 180_000);
  afterAll(() => server.close());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cybermesh-table-'));
  });

  test('its rows come in the order of the key, with addresses, time and features', async () => {
    const reader = await telemetryReader(folder, sourceOf('flows', { batch: 10 }));
    let first: ReadBatch | undefined;
    await reader.read((batch) => {
      first = batch;
      return 'stop';
    });
    await reader.adapter.close?.();
    if (first?.batch.shape !== 'rows') throw new Error('no rows');
    const { columns, vectors } = first.batch;
    const view = new DataView(columns.buffer, columns.byteOffset);
    expect(numbersOf(first).slice(0, 3)).toEqual([1, 2, 3]);
    expect(FLOW.get.firstUs(view, 4)).toBe(Date.UTC(2026, 0, 1) * 1000 + 5000);
    expect([...FLOW.address.source(view, 4)].slice(12)).toEqual([10, 1, 5, 5]);
    expect([...FLOW.address.destination(view, 4)].slice(12)).toEqual([192, 0, 2, 9]);
    const floats = new Float32Array(vectors.buffer, vectors.byteOffset);
    expect(floats[4 * FEATURE_COUNT + F.src_port]).toBe((5 * 7919) % 65536);
    expect(floats[4 * FEATURE_COUNT + F.flow_duration]).toBe((5 * 9) % 1009);
  });

  test('200,000 rows come once each; one that was read to its end stays ended within the same run', async () => {
    const source = sourceOf('flows', { segmentRows: 60_000 });
    const { numbers, counters } = await readAll(source);
    expect(numbers.length).toBe(ROWS);
    expect(numbers.every((number, at) => number === at + 1)).toBe(true);
    expect(counters.rows_malformed).toBeUndefined();
    await server.execute('CREATE TABLE more AS SELECT * FROM flows WHERE id <= 1500');
    await server.execute('ALTER TABLE more ADD PRIMARY KEY (id)');
    const other = mkdtempSync(join(tmpdir(), 'cybermesh-table-'));
    const small = sourceOf('more', { segmentRows: 1000 });
    expect((await readAll(small, other)).numbers).toHaveLength(1500);
    await fillFlowTable(server, 'more', 700, 1501);
    const again = await telemetryReader(other, small);
    await again.adapter.commands.begin({});
    expect(again.messages.shift()).toMatchObject({ kind: 'began', complete: true });
    await again.adapter.close?.();
  }, 120_000);

  test('killed with kill -9 three times, it repeats byte for byte and skips nothing', async () => {
    const runs: (readonly Line[])[] = [];
    for (const killAfter of [33, 71, 20, 0]) runs.push(await run(30_000, killAfter));
    expect(runs.at(-1)?.at(-1)).toMatchObject({ end: true });
    const seen = new Map<number, { readonly to: number; readonly sha: string }>();
    let repeated = 0;
    for (const { from, to, sha } of runs.flat()) {
      if (from === undefined || to === undefined || sha === undefined) continue;
      const known = seen.get(from);
      if (known !== undefined) {
        repeated += 1;
        expect([to, sha]).toEqual([known.to, known.sha]);
      }
      seen.set(from, { to, sha });
    }
    expect(repeated).toBeGreaterThan(0);
    let next = 1;
    for (const [from, { to }] of [...seen].sort(([a], [b]) => a - b)) {
      expect(from).toBe(next);
      next = to + 1;
    }
    expect(next).toBe(ROWS + 1);
  }, 180_000);

  test('a server killed in the middle is waited for, and no row is repeated or left out', async () => {
    const reader = await telemetryReader(folder, sourceOf('flows', { segmentRows: 50_000 }));
    const numbers: number[] = [];
    let restarted: Promise<void> | undefined;
    await reader.read((batch) => {
      numbers.push(...numbersOf(batch));
      if (numbers.length >= 20_000) restarted ??= server.kill().then(server.up);
      return numbers.length >= 90_000 ? 'stop' : 'on';
    });
    await restarted;
    await reader.adapter.close?.();
    expect(numbers.every((number, at) => number === at + 1)).toBe(true);
    expect(reader.log.join('\n')).toMatch(/cannot be read; it is tried again/);
    expect(reader.log.join('\n')).toMatch(/is read again/);
  }, 120_000);

  test('a table that is renamed and a right that is taken away in the middle are named; no row is repeated or left out', async () => {
    await server.execute("CREATE ROLE reading LOGIN PASSWORD 'r'");
    await server.execute('GRANT USAGE ON SCHEMA public TO reading');
    await server.execute('GRANT SELECT ON flows TO reading');
    const url = new URL(server.url);
    url.username = 'reading';
    url.password = 'r';
    const reader = await telemetryReader(folder, sourceOf('flows', { url: url.href }));
    const isSaid = (words: RegExp) =>
      expect.poll(() => reader.log.join('\n'), { timeout: 30_000 }).toMatch(words);
    const disturb = async (): Promise<void> => {
      await server.execute('ALTER TABLE flows RENAME TO elsewhere');
      await isSaid(/the table does not exist: correct its name, or create it/);
      await server.execute('ALTER TABLE elsewhere RENAME TO flows');
      await server.execute('REVOKE SELECT ON flows FROM reading');
      await isSaid(/the user lacks a right/);
      await server.execute('GRANT SELECT ON flows TO reading');
    };
    const numbers: number[] = [];
    let disturbed: Promise<void> | undefined;
    await reader.read((batch) => {
      numbers.push(...numbersOf(batch));
      if (numbers.length >= 5000) disturbed ??= disturb();
      return numbers.length >= 150_000 ? 'stop' : 'on';
    });
    await disturbed;
    await reader.adapter.close?.();
    expect(numbers.every((number, at) => number === at + 1)).toBe(true);
  }, 120_000);

  /** A role of its own that may read a table of its own with so many rows. */
  const giveTable = async (name: string, rows: number): Promise<void> => {
    await server.execute(`CREATE ROLE ${name} LOGIN PASSWORD 'right'`);
    await server.execute(`GRANT USAGE ON SCHEMA public TO ${name}`);
    await fillFlowTable(server, name, rows);
    await server.execute(`GRANT SELECT ON ${name} TO ${name}`);
  };
  const urlOf = (user: string, parts: Partial<URL> = {}, search: object = {}): string => {
    const url = new URL(server.url);
    Object.assign(url, { username: user, password: 'right', ...parts });
    for (const [name, value] of Object.entries(search)) url.searchParams.set(name, value);
    return url.href;
  };
  const upTo = (rows: number): readonly number[] => Array.from({ length: rows }, (_, i) => i + 1);
  const isSaid = ({ log }: { readonly log: readonly string[] }, words: RegExp) =>
    expect.poll(() => log.join('\n'), { timeout: 30_000 }).toMatch(words);

  test('what a server refuses at the start is named with its place and remedy; mended, every row is read', async () => {
    await giveTable('starting', 300);
    const faults: readonly (readonly [string, RegExp, string])[] = [
      [
        "ALTER ROLE starting PASSWORD 'other'",
        /starting@127\.0\.0\.1:\d+\/postgres: .*the password is refused: correct it in passwordFile/,
        "ALTER ROLE starting PASSWORD 'right'",
      ],
      [
        'REVOKE SELECT ON starting FROM starting',
        /denied for table starting; the user lacks a right: grant SELECT on starting, and USAGE/,
        'GRANT SELECT ON starting TO starting',
      ],
      [
        'ALTER TABLE starting RENAME COLUMN flow_duration TO lasted',
        /starting is not a table of flows: 1 of 79 columns are missing: flow_duration/,
        'ALTER TABLE starting RENAME COLUMN lasted TO flow_duration',
      ],
      [
        'ALTER TABLE starting RENAME COLUMN id TO number',
        /the column id of starting is not unique by itself: name a key that is/,
        'ALTER TABLE starting RENAME COLUMN number TO id',
      ],
    ];
    for (const [fault, expected, mend] of faults) {
      await server.execute(fault);
      const dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-table-'));
      const source = sourceOf('starting', { url: urlOf('starting') });
      const reader = await telemetryReader(dataDir, source);
      const numbers: number[] = [];
      const reading = reader.read((batch) => {
        numbers.push(...numbersOf(batch));
        return 'on';
      });
      await isSaid(reader, expected);
      expect(reader.log.join('\n')).not.toMatch(/right@|other@/);
      await server.execute(mend);
      await reading;
      await reader.adapter.close?.();
      expect(numbers).toEqual(upTo(300));
    }
  }, 120_000);

  test('a certificate of an authority that is not named, or of another host, is said so; with both right the way is encrypted', async () => {
    await giveTable('trusting', 50);
    const strict = { sslmode: 'verify-full' };
    const trusted = { ...strict, sslrootcert: server.certificate };
    const refusals: readonly (readonly [string, RegExp])[] = [
      [urlOf('trusting', { hostname: 'localhost' }, strict), /not trusted: .*sslrootcert/],
      [urlOf('trusting', {}, trusted), /certificate is for another host: use the name in the cert/],
    ];
    for (const [url, expected] of refusals) {
      const reader = await telemetryReader(folder, sourceOf('trusting', { url }));
      await reader.adapter.commands.begin({});
      void reader.adapter.commands.next({ epoch: 1 });
      await isSaid(reader, expected);
      await reader.adapter.close?.();
    }
    const url = urlOf('trusting', { hostname: 'localhost' }, trusted);
    expect((await readAll(sourceOf('trusting', { url }))).numbers).toEqual(upTo(50));
  }, 60_000);

  test('a password and a certificate that change, a column that goes, and a server that becomes read-only in the middle: no row is repeated or left out', async () => {
    await giveTable('changing', 100);
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'right\n');
    const data = dirname(server.certificate);
    const rootcert = join(folder, 'root.crt');
    copyFileSync(server.certificate, rootcert);
    const search = { sslmode: 'verify-full', sslrootcert: rootcert };
    const url = urlOf('changing', { hostname: 'localhost', password: '' }, search);
    const reader = await telemetryReader(
      folder,
      sourceOf('changing', { url, passwordFile, pollMs: 20, batch: 30 }),
    );
    const numbers: number[] = [];
    const reading = reader.read((batch) => {
      numbers.push(...numbersOf(batch));
      return numbers.length >= 600 ? 'stop' : 'on';
    });
    const grows = async (): Promise<void> => {
      const wanted = numbers.length + 100;
      await fillFlowTable(server, 'changing', 100, numbers.length + 1);
      await expect.poll(() => numbers.length, { timeout: 30_000 }).toBe(wanted);
    };
    const cut = () =>
      server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'",
      );
    await expect.poll(() => numbers.length, { timeout: 30_000 }).toBe(100);

    await server.execute("ALTER ROLE changing PASSWORD 'second'");
    await cut();
    await isSaid(reader, /the password is refused: correct it in passwordFile/);
    writeFileSync(passwordFile, 'second\n');
    await grows();

    const pair = ['server.crt', 'server.key'];
    for (const name of pair) copyFileSync(join(data, name), join(folder, name));
    selfSigned(folder, 'other');
    for (const [k, name] of ['other.crt', 'other.key'].entries()) {
      writeFileSync(join(data, pair[k]!), readFileSync(join(folder, name)));
    }
    await server.execute('SELECT pg_reload_conf()');
    await cut();
    await isSaid(reader, /certificate is not trusted: .*sslrootcert/);
    for (const name of pair) writeFileSync(join(data, name), readFileSync(join(folder, name)));
    await server.execute('SELECT pg_reload_conf()');
    await grows();

    await server.execute('ALTER TABLE changing RENAME COLUMN tot_fwd_pkts TO packets');
    await isSaid(reader, /changing is not a table of flows: 1 of 79 columns .*tot_fwd_pkts/);
    await server.execute('ALTER TABLE changing RENAME COLUMN packets TO tot_fwd_pkts');
    await grows();

    const said = reader.log.length;
    await server.execute('ALTER SYSTEM SET default_transaction_read_only = on');
    await server.down();
    await server.up();
    const later = (): string => reader.log.slice(said).join('\n');
    await expect.poll(later, { timeout: 30_000 }).toMatch(/is read again/);
    expect(later()).not.toMatch(/read-only/);
    await server.execute('ALTER SYSTEM RESET ALL');
    await server.execute('SELECT pg_reload_conf()');
    await grows();
    await grows();
    await reading;
    await reader.adapter.close?.();
    expect(numbers).toEqual(upTo(600));
  }, 120_000);

  test('rows that no vector can be made of are counted and skipped', async () => {
    await server.execute('CREATE TABLE odd AS SELECT * FROM flows WHERE id <= 20');
    await server.execute('ALTER TABLE odd ADD PRIMARY KEY (id)');
    await server.execute("UPDATE odd SET flow_duration = 'NaN' WHERE id = 3");
    await server.execute('UPDATE odd SET src_ip = NULL WHERE id = 20');
    const { numbers, counters, log } = await readAll(sourceOf('odd', { batch: 7 }));
    expect(numbers).toHaveLength(18);
    expect(counters.rows_malformed).toBe(2);
    expect(log.join('\n')).toMatch(/malformed row skipped .*"after":"3"/);
  }, 30_000);

  test('new rows are found behind the last one while the source is open', async () => {
    await server.execute('CREATE TABLE fresh AS SELECT * FROM flows WHERE id <= 5');
    await server.execute('ALTER TABLE fresh ADD PRIMARY KEY (id)');
    const reader = await telemetryReader(folder, sourceOf('fresh', { pollMs: 50 }));
    const numbers: number[] = [];
    let added: Promise<void> | undefined;
    await reader.read((batch) => {
      numbers.push(...numbersOf(batch));
      if (numbers.length >= 5) added ??= fillFlowTable(server, 'fresh', 3, 6);
      return numbers.length >= 8 ? 'stop' : 'on';
    });
    await added;
    await reader.adapter.close?.();
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  }, 30_000);

  test.each([
    ['missing', {}, /missing.* does not exist; the table does not exist/],
    ['flows', { key: 'dst_port' }, /dst_port of flows is not unique by itself.*unique index/],
    ['flows', { key: 'nothing' }, /not unique|a column does not exist/],
    ['small', {}, /small is not a table of flows: 79 of 79 columns are missing/],
    ['flows', { url: 'postgres://nobody@127.0.0.1:1/x' }, /start the server/],
  ] as const)(
    'what is wrong with %s %j is said, and it waits',
    async (table, settings, expected) => {
      await server.execute('CREATE TABLE IF NOT EXISTS small (id INT8 PRIMARY KEY)');
      const reader = await telemetryReader(folder, sourceOf(table, settings));
      await reader.adapter.commands.begin({});
      void reader.adapter.commands.next({ epoch: 1 });
      await expect.poll(() => reader.log.join('\n')).toMatch(expected);
      await reader.adapter.close?.();
    },
  );
});
