import { EventEmitter } from 'node:events';
import pg from 'pg';
import { expect, test } from 'vitest';
import { type Connection, transactions } from '#actors/persistence/database.ts';

const conflict = (code: string): pg.DatabaseError => {
  const error = new pg.DatabaseError('conflict', 0, 'error');
  error.code = code;
  return error;
};

type Script = {
  /** Of each COMMIT in turn; undefined succeeds. */
  readonly commits: (Error | undefined)[];
  readonly rollback?: Error;
};

/** A pool whose only connection fails as the script says. */
const poolOf = ({ commits, rollback }: Script) => {
  const said: string[] = [];
  const released: (Error | undefined)[] = [];
  const query = async (text: string) => {
    said.push(text);
    const fault = text === 'COMMIT' ? commits.shift() : text === 'ROLLBACK' ? rollback : undefined;
    if (fault !== undefined) throw fault;
    return { rows: [] };
  };
  const connection = Object.assign(new EventEmitter(), {
    query,
    release: (broken?: Error) => void released.push(broken),
  }) as unknown as Connection & EventEmitter;
  const pauses: number[] = [];
  const pool = transactions(
    async () => connection,
    3,
    async (attempt) => void pauses.push(attempt),
  );
  return { ...pool, said, released, pauses, connection };
};

test('a transaction is SERIALIZABLE and gives what its work gives', async () => {
  const { transaction, said, released } = poolOf({ commits: [] });
  const result = await transaction(async (client) => {
    await client.query('SELECT 1');
    return 7;
  });
  expect(result).toBe(7);
  expect(said).toEqual(['BEGIN ISOLATION LEVEL SERIALIZABLE', 'SELECT 1', 'COMMIT']);
  expect(released).toEqual([undefined]);
});

test('two conflicts are repeated, and the third attempt counts', async () => {
  const { transaction, retries, pauses, said } = poolOf({
    commits: [conflict('40001'), conflict('40P01')],
  });
  let runs = 0;
  expect(await transaction(async () => ++runs)).toBe(3);
  expect(retries()).toBe(2);
  expect(pauses).toEqual([0, 1]);
  expect(said.filter((text) => text === 'ROLLBACK')).toHaveLength(2);
});

test('a conflict is not repeated for ever', async () => {
  const { transaction, retries } = poolOf({ commits: Array(9).fill(conflict('40001')) });
  await expect(transaction(async () => 1)).rejects.toThrow('conflict');
  expect(retries()).toBe(3);
});

test('another error is rolled back and not repeated', async () => {
  const { transaction, retries, said, released } = poolOf({ commits: [] });
  const work = transaction(async () => {
    throw conflict('23505');
  });
  await expect(work).rejects.toMatchObject({ code: '23505' });
  expect(said.at(-1)).toBe('ROLLBACK');
  expect(retries()).toBe(0);
  expect(released).toEqual([undefined]);
});

test('a connection that cannot even roll back is thrown away', async () => {
  const rollback = new Error('connection lost');
  const { transaction, released } = poolOf({ commits: [conflict('57P01')], rollback });
  await expect(transaction(async () => 1)).rejects.toMatchObject({ code: '57P01' });
  expect(released).toEqual([rollback]);
});

test('a connection that is lost in mid-work is thrown away and ends nothing else', async () => {
  const { transaction, released, connection } = poolOf({ commits: [] });
  const lost = new Error('Connection terminated unexpectedly');
  const work = transaction(async () => {
    connection.emit('error', lost);
    throw lost;
  });
  await expect(work).rejects.toBe(lost);
  expect(released).toEqual([lost]);
  expect(connection.listenerCount('error')).toBe(0);
});

test.each(['40003', '08006', '57P01'])(
  'a COMMIT that ends with %s is looked up by key, and what is there is not written again',
  async (code) => {
    const { transaction, retries, said } = poolOf({ commits: [conflict(code)] });
    let runs = 0;
    const found = await transaction(
      async () => ++runs,
      async () => 42,
    );
    expect([found, runs, retries()]).toEqual([42, 1, 1]);
    expect(said.filter((text) => text.startsWith('BEGIN'))).toHaveLength(1);
  },
);

test('a COMMIT without an answer that has left nothing behind is repeated', async () => {
  const { transaction } = poolOf({ commits: [new Error('Connection terminated unexpectedly')] });
  let runs = 0;
  const look = async () => undefined;
  expect(await transaction(async () => ++runs, look)).toBe(2);
});

test("without a key to look by, a COMMIT without an answer is the caller's to find out about", async () => {
  const lost = conflict('08006');
  const { transaction } = poolOf({ commits: [lost] });
  let runs = 0;
  await expect(transaction(async () => ++runs)).rejects.toBe(lost);
  expect(runs).toBe(1);
});

test('the same codes before the COMMIT say that nothing counts: they are not looked up', async () => {
  const { transaction } = poolOf({ commits: [] });
  let looked = 0;
  const work = transaction(
    async () => {
      throw conflict('08006');
    },
    async () => ++looked,
  );
  await expect(work).rejects.toMatchObject({ code: '08006' });
  expect(looked).toBe(0);
});
