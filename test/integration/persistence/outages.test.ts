import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '#actors/persistence/database.ts';
import { projectBlocks } from '#actors/persistence/projection.ts';
import type { CommittedChain } from '#test/kit/committed-chain.ts';
import { anomalyTx } from '#test/kit/messages.ts';
import { freePort } from '#test/kit/ports.ts';
import {
  hasPostgres,
  NEEDS_POSTGRES,
  type PostgresServer,
  postgresServer,
} from '#test/kit/postgres.ts';
import { dumpOf, sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';

let server: PostgresServer;
let chain: CommittedChain;

/** Opens with this URL: the messages, and everything that was said. */
const opening = async (url: string, settings = {}) => {
  const { commands, close, mailbox, said } = await sqlAdapter(url, settings);
  await commands.open(null);
  await close?.();
  const [message] = mailbox;
  const reason = message?.kind === 'unavailable' ? message.reason : '';
  return { kind: message?.kind, reason, said: `${reason}\n${said.join('\n')}` };
};

/** The URL of the server with parts of it changed. */
const urlWith = (parts: Partial<URL>, search: { readonly [name: string]: string } = {}): string => {
  const url = new URL(server.url);
  Object.assign(url, parts);
  for (const [name, value] of Object.entries(search)) url.searchParams.set(name, value);
  return url.href;
};

/** A certificate that is its own authority, for a user of that name. */
const clientCertificate = (name: string): { readonly cert: string; readonly key: string } => {
  const folder = mkdtempSync(join(tmpdir(), 'cybermesh-'));
  chmodSync(folder, 0o755);
  const [cert, key] = [join(folder, 'client.crt'), join(folder, 'client.key')];
  const how = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
  const files = ['-subj', `/CN=${name}`, '-keyout', key, '-out', cert];
  execFileSync('openssl', [...how, ...files], { stdio: 'pipe' });
  return { cert, key };
};

/** Ends every connection when a client sends COMMIT: before the server sees it, or before its answer comes. */
const cutAtCommit = async (port: number, when: 'before' | 'after', times: number) => {
  let left = times;
  const sockets = new Set<Socket>();
  const proxy: Server = createServer((inbound) => {
    const outbound = tcpConnect(port, '127.0.0.1');
    let cut = false;
    for (const one of [inbound, outbound]) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        inbound.destroy();
        outbound.destroy();
      });
    }
    inbound.on('data', (data: Buffer) => {
      cut = left > 0 && data.includes('COMMIT\0');
      if (cut) left -= 1;
      if (cut && when === 'before') return void inbound.destroy();
      outbound.write(data);
    });
    outbound.on('data', (data: Buffer) => {
      if (cut) inbound.destroy();
      else inbound.write(data);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await new Promise((resolve) => proxy.once('listening', resolve));
  return {
    port: (proxy.address() as { readonly port: number }).port,
    close: () => {
      for (const one of sockets) one.destroy();
      proxy.close();
    },
  };
};

describe.skipIf(!hasPostgres)(`outages of a server ${NEEDS_POSTGRES}`, () => {
  beforeAll(async () => {
    server = await postgresServer();
    chain = await sqlChain();
    for (let i = 0; i < 30; i++) chain.grow([anomalyTx({}, { counter: 100 + i })]);
  }, 120_000);
  afterAll(async () => {
    chain.host.close();
    await server.close();
  });
  beforeEach(() => server.wipe());

  test('what is wrong is said with its place and its remedy, and without the password', async () => {
    await server.execute("CREATE ROLE nobody LOGIN PASSWORD 'p w#1'");
    await server.execute('GRANT USAGE ON SCHEMA public TO nobody');
    await server.execute('CREATE ROLE locked PASSWORD $$p w#1$$');
    const closed = String(await freePort());
    const cases: readonly (readonly [string, RegExp])[] = [
      [urlWith({ port: closed }), /127\.0\.0\.1:\d+\/postgres: .*ECONNREFUSED.*start the server/],
      [urlWith({ hostname: 'no-such-host.invalid' }), /no-such-host\.invalid:.*name of the host/],
      [urlWith({ password: 'hunter2' }), /the password is refused: correct it in passwordFile/],
      [urlWith({ password: '' }), /asks for a password: give passwordFile or PGPASSWORD/],
      [urlWith({ pathname: '/missing' }), /the database does not exist: make it with createdb/],
      [urlWith({ username: 'locked' }), /lets this user not in: .*pg_hba/],
      [urlWith({ username: 'nobody' }), /lacks a right: grant CREATE on the schema/],
      [
        urlWith({}, { options: '-c default_transaction_read_only=on' }),
        /is read-only: give the URL/,
      ],
      [urlWith({}, { sslmode: 'verify-full' }), /certificate is not trusted: .*sslrootcert/],
      [
        urlWith({}, { sslmode: 'verify-full', sslrootcert: server.certificate }),
        /certificate is for another host/,
      ],
      [urlWith({}, { sslmode: 'verify-full', sslrootcert: '/missing.pem' }), /a file is missing/],
    ];
    for (const [url, expected] of cases) {
      const { kind, reason, said } = await opening(url);
      expect([kind, reason]).toEqual(['unavailable', expect.stringMatching(expected)]);
      expect(said).not.toMatch(/hunter2|p w#1|p%20w/);
    }
  }, 60_000);

  test('with the right authority and name the way to the server is encrypted', async () => {
    const trusted = { sslmode: 'verify-full', sslrootcert: server.certificate };
    expect(await opening(urlWith({ hostname: 'localhost' }, trusted))).toMatchObject({
      kind: 'opened',
    });
  });

  test('a server that wants a certificate of ours takes the right one, and says what to do without it', async () => {
    const { cert, key } = clientCertificate('certified');
    await server.execute('CREATE ROLE certified LOGIN');
    await server.execute('GRANT USAGE, CREATE ON SCHEMA public TO certified');
    await server.execute(`ALTER SYSTEM SET ssl_ca_file = '${cert}'`);
    const rules = join(dirname(server.certificate), 'pg_hba.conf');
    const usual = readFileSync(rules, 'utf8');
    writeFileSync(rules, `hostssl postgres certified all cert\n${usual}`);
    await server.execute('SELECT pg_reload_conf()');
    const trusted = { sslmode: 'verify-full', sslrootcert: server.certificate };
    const user = { hostname: 'localhost', username: 'certified', password: '' };
    const refused = await opening(urlWith(user, trusted));
    expect(refused.reason).toMatch(/wants a certificate of ours: give sslcert and sslkey/);
    const certified = { ...trusted, sslcert: cert, sslkey: key };
    expect(await opening(urlWith(user, certified))).toMatchObject({ kind: 'opened' });
  });

  test('the password comes from a file, which is read again at each attempt', async () => {
    const passwordFile = join(mkdtempSync(join(tmpdir(), 'cybermesh-')), 'password');
    const url = urlWith({ password: '' });
    const { commands, close, mailbox } = await sqlAdapter(url, { passwordFile });
    const kindAfter = async (): Promise<string | undefined> => {
      await commands.open(null);
      return mailbox.at(-1)?.kind;
    };
    expect(await kindAfter()).toBe('unavailable');
    expect(mailbox.at(-1)).toMatchObject({ reason: expect.stringContaining('a file is missing') });
    writeFileSync(passwordFile, 'wrong\n');
    expect(await kindAfter()).toBe('unavailable');
    writeFileSync(passwordFile, `${server.password}\n`);
    expect(await kindAfter()).toBe('opened');
    await close?.();
  });

  test('a server that becomes read-only in the middle is named, and the work goes on after it', async () => {
    const { commands, close, mailbox } = await sqlAdapter(server.url);
    await commands.open(null);
    await commands.project(chain.read(1, 2));
    const readOnly = async (value: string): Promise<void> => {
      await server.execute(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
      await server.execute('SELECT pg_reload_conf()');
      const shown = 'SHOW default_transaction_read_only';
      const now = async () =>
        (await server.execute(shown)).rows[0]?.default_transaction_read_only as string;
      await expect.poll(now).toBe(value);
    };
    await readOnly('on');
    await commands.project(chain.read(3));
    expect(mailbox.at(-1)).toMatchObject({
      ...{ kind: 'unavailable', reason: expect.stringContaining('is read-only') },
    });
    await readOnly('off');
    await commands.project(chain.read(3));
    expect(mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 34 });
    await close?.();
  });

  test('a password and a certificate that change in the middle are named, and the work goes on after them', async () => {
    await server.execute("CREATE ROLE changing LOGIN SUPERUSER PASSWORD 'first'");
    const data = dirname(server.certificate);
    const kept = mkdtempSync(join(tmpdir(), 'cybermesh-'));
    const pair = ['server.crt', 'server.key'];
    for (const name of pair) copyFileSync(join(data, name), join(kept, name));
    const trusted = { sslmode: 'verify-full', sslrootcert: join(kept, 'server.crt') };
    const parts = { username: 'changing', password: 'first', hostname: 'localhost' };
    const { commands, close, mailbox } = await sqlAdapter(urlWith(parts, trusted));
    await commands.open(null);
    await commands.project(chain.read(1, 2));
    expect(mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 2 });
    const cut = () =>
      server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'",
      );
    /** Tries to write until the reason is the expected one: the cut itself is another. */
    const refusedAs = async (reason: RegExp): Promise<void> => {
      const attempt = async (): Promise<string> => {
        await commands.project(chain.read(3, 1));
        const last = mailbox.at(-1);
        return last?.kind === 'unavailable' ? last.reason : `${last?.kind}`;
      };
      await expect.poll(attempt, { timeout: 20_000 }).toMatch(reason);
    };
    await server.execute("ALTER ROLE changing PASSWORD 'second'");
    await cut();
    await refusedAs(/the password is refused: correct it in passwordFile/);
    await server.execute("ALTER ROLE changing PASSWORD 'first'");
    // Somebody else's certificate of the same name.
    const other = await postgresServer();
    for (const name of pair) {
      writeFileSync(join(data, name), readFileSync(join(dirname(other.certificate), name)));
    }
    await other.close();
    await server.execute('SELECT pg_reload_conf()');
    await cut();
    await refusedAs(/certificate is not trusted: .*sslrootcert/);
    for (const name of pair) writeFileSync(join(data, name), readFileSync(join(kept, name)));
    await server.execute('SELECT pg_reload_conf()');
    const goesOn = async (): Promise<string | undefined> => {
      await commands.project(chain.read(3));
      return mailbox.at(-1)?.kind;
    };
    await expect.poll(goesOn, { timeout: 20_000 }).toBe('projected');
    await close?.();
  }, 120_000);

  test('a server killed with kill -9 in mid-work loses nothing and doubles nothing', async () => {
    const { commands, close, mailbox } = await sqlAdapter(server.url, { leaseMs: 60_000 });
    await commands.open(null);
    mailbox.splice(0);
    for (const killAfterMs of [20, 60]) {
      const working = commands.project(chain.read(1));
      await sleep(killAfterMs);
      await server.kill();
      await working;
      await server.up();
    }
    const interrupted = mailbox.splice(0).filter((one) => one.kind === 'unavailable').length;
    expect(interrupted).toBeGreaterThanOrEqual(1);
    await commands.project(chain.read(1));
    expect(mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 34 });
    const database = await openDatabase(server.settings);
    const killed = await dumpOf(database);
    await close?.();
    await database.close();
    await server.wipe();
    const fresh = await openDatabase(server.settings);
    await projectBlocks(fresh, chain.read(1));
    // The genesis row is the adapter's.
    const alone = await dumpOf(fresh);
    expect(killed.replace(/\["genesis",.*\]$/, '')).toBe(alone.replace(/\["genesis",.*\]$/, ''));
    await fresh.close();
  }, 120_000);

  test.each([
    ['after', 1],
    ['before', 2],
  ] as const)(
    'a COMMIT cut off %s it counts is looked up by its key: %i run of the work, one block',
    async (when, runs) => {
      const database = await openDatabase(server.settings);
      const cutting = await cutAtCommit(server.port, when, 1);
      const through = await openDatabase({
        ...server.settings,
        url: urlWith({ port: String(cutting.port) }),
      });
      let ran = 0;
      const counted: typeof through = {
        ...through,
        transaction: (work, look) =>
          through.transaction((client) => {
            ran += 1;
            return work(client);
          }, look),
      };
      expect(await projectBlocks(counted, chain.read(1, 1))).toBe(1);
      expect(ran).toBe(runs);
      const { rows } = await database.query('SELECT count(*) AS n FROM blocks');
      expect(Number(rows[0]?.n)).toBe(1);
      await through.close();
      cutting.close();
      await database.close();
    },
  );
});
