/**
 * Network namespaces that a test makes and removes: an attacker and a victim on one link, or with a gateway
 * between them. Nothing here touches the tables or links of the machine itself.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { PacketCommand } from './packet-agent.ts';
import { ROOT } from './processes.ts';

export const isRoot = process.getuid?.() === 0;

const AGENT = path.join(ROOT, 'test', 'kit', 'packet-agent.ts');
const ANSWER_MS = 15_000;
const FLOOD_ANSWER_MS = 90_000;
const COMMAND_MS = 20_000;

export const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', timeout: COMMAND_MS, stdio: 'pipe' });

/** A namespace with an agent in it that sends and receives packets. */
export class Namespace {
  readonly name: string;
  readonly #agent: ChildProcess;
  readonly #waiting: ((line: string) => void)[] = [];

  constructor(name: string) {
    this.name = name;
    run('ip', 'netns', 'add', name);
    this.exec('ip', 'link', 'set', 'lo', 'up');
    // Addresses are there at once, without a search for duplicates.
    for (const one of ['all', 'default']) this.set(`ipv6/conf/${one}/accept_dad`, 0);
    const words = ['netns', 'exec', name, process.execPath, '--no-warnings', AGENT];
    this.#agent = spawn('ip', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#agent.stdout! }).on('line', (line) =>
      this.#waiting.shift()?.(line),
    );
  }

  /** Runs a program inside to its end; its output. Throws when it fails. */
  exec(command: string, ...args: readonly string[]): string {
    return run('ip', 'netns', 'exec', this.name, command, ...args);
  }

  /** A setting of the network stack of this namespace, as /proc/sys/net names it. */
  set(name: string, value: number): void {
    this.exec('sh', '-c', `echo ${value} > /proc/sys/net/${name}`);
  }

  ask(command: PacketCommand): Promise<string | number> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.name}: no answer to ${command.op}`)),
        command.op === 'flood' ? FLOOD_ANSWER_MS : ANSWER_MS,
      );
      this.#waiting.push((line) => {
        clearTimeout(timer);
        resolve(JSON.parse(line) as string | number);
      });
      this.#agent.stdin!.write(`${JSON.stringify(command)}\n`);
    });
  }

  /** True when one echo comes back. */
  pings(from: string, to: string): boolean {
    try {
      this.exec('ping', '-n', '-q', '-c', '1', '-W', '1', '-I', from, to);
      return true;
    } catch {
      return false;
    }
  }

  remove(): void {
    this.#agent.kill('SIGKILL');
    run('ip', 'netns', 'del', this.name);
  }
}

let count = 0;
const fresh = (role: string): Namespace => new Namespace(`cm${process.pid}-${count++}${role}`);

/** A link between two namespaces; each end is named after the other namespace's role. */
const link = (a: Namespace, aName: string, b: Namespace, bName: string): void => {
  run(
    'ip',
    'link',
    'add',
    'name',
    aName,
    'netns',
    a.name,
    'type',
    'veth',
    'peer',
    'name',
    bName,
    'netns',
    b.name,
  );
  a.exec('ip', 'link', 'set', aName, 'up');
  b.exec('ip', 'link', 'set', bName, 'up');
};

const give = (to: Namespace, device: string, ...addresses: readonly string[]): void => {
  for (const one of addresses) {
    const flags = one.includes(':') ? ['nodad'] : [];
    to.exec('ip', 'addr', 'add', one, 'dev', device, ...flags);
  }
};

/** Addresses of the attacker; the first of each family is the usual one. */
export const ATTACKER = { 4: '10.77.0.1', 6: 'fd77::1' } as const;
export const VICTIM = { 4: '10.77.9.2', 6: 'fd77:9::2' } as const;
/** Further ones, for the edges of networks: 10.77.0.1..8 and fd77::1..8. */
export const attackers = (family: 4 | 6, host: number): string =>
  family === 4 ? `10.77.0.${host}` : `fd77::${host.toString(16)}`;
const HOSTS = [1, 2, 3, 4, 5, 6, 7, 8] as const;

export type Scene = {
  readonly attacker: Namespace;
  /** Forwards between the two; undefined where they share a link. */
  readonly gateway: Namespace | undefined;
  readonly victim: Namespace;
  readonly remove: () => void;
};

/** Lays out the scene; both sides listen at `ports`, TCP and UDP. */
export const scene = async (
  ports: readonly number[],
  { gateway: wantsGateway = false } = {},
): Promise<Scene> => {
  const attacker = fresh('a');
  const victim = fresh('v');
  const gateway = wantsGateway ? fresh('g') : undefined;
  const made = { attacker, victim, gateway };
  const remove = (): void => {
    for (const one of [attacker, victim, gateway]) one?.remove();
  };
  try {
    wire(made);
    for (const port of ports) {
      for (const side of [attacker, victim]) await side.ask({ op: 'listen', port });
    }
  } catch (fault) {
    remove();
    throw fault;
  }
  return { ...made, remove };
};

const wire = ({ attacker, victim, gateway }: Omit<Scene, 'remove'>): void => {
  const mine = HOSTS.flatMap((host) => [`${attackers(4, host)}/24`, `${attackers(6, host)}/64`]);
  if (gateway === undefined) {
    link(attacker, 'wire', victim, 'wire');
    give(attacker, 'wire', ...mine);
    give(victim, 'wire', `${VICTIM[4]}/24`, `${VICTIM[6]}/64`);
    attacker.exec('ip', 'route', 'add', '10.77.9.0/24', 'dev', 'wire');
    attacker.exec('ip', '-6', 'route', 'add', 'fd77:9::/64', 'dev', 'wire');
    victim.exec('ip', 'route', 'add', '10.77.0.0/24', 'dev', 'wire');
    victim.exec('ip', '-6', 'route', 'add', 'fd77::/64', 'dev', 'wire');
  } else {
    link(attacker, 'wire', gateway, 'outside');
    link(victim, 'wire', gateway, 'inside');
    give(attacker, 'wire', ...mine);
    give(victim, 'wire', `${VICTIM[4]}/24`, `${VICTIM[6]}/64`);
    give(gateway, 'outside', '10.77.0.254/24', 'fd77::fe/64');
    give(gateway, 'inside', '10.77.9.254/24', 'fd77:9::fe/64');
    gateway.set('ipv4/ip_forward', 1);
    gateway.set('ipv6/conf/all/forwarding', 1);
    attacker.exec('ip', 'route', 'add', 'default', 'via', '10.77.0.254');
    attacker.exec('ip', '-6', 'route', 'add', 'default', 'via', 'fd77::fe');
    victim.exec('ip', 'route', 'add', 'default', 'via', '10.77.9.254');
    victim.exec('ip', '-6', 'route', 'add', 'default', 'via', 'fd77:9::fe');
  }
};

/** How many of `sent` datagrams arrive; waits until they have, or nothing more can. */
export const arrivals = async (
  sender: Namespace,
  receiver: Namespace,
  flow: { from: string; to: string; port: number },
  sent = 5,
): Promise<number> => {
  const { from, port } = flow;
  await receiver.ask({ op: 'received', from, port });
  await sender.ask({ op: 'udp', ...flow, count: sent });
  let arrived = 0;
  for (let k = 0; k < 8 && arrived < sent; k++) {
    await pause(k === 0 ? 2 : 15);
    arrived += Number(await receiver.ask({ op: 'received', from, port }));
  }
  return arrived;
};
