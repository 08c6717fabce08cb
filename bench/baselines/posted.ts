/**
 * The same work through postMessage: a sender on this thread, a receiver on a worker, at most 1,024 messages under way,
 * as a bounded mailbox has it.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type Job, made } from '../fixtures/protocol.ts';
import type { Figures } from '../kit/rounds.ts';
import { quantile } from '../kit/rows.ts';

const WINDOW = 1024;

/** Starts the other end, gives it a port, and ends it when `work` is done. */
const withPeer = async <T>(work: (port: MessagePort) => Promise<T>): Promise<T> => {
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./posted-peer.ts', import.meta.url), {
    workerData: { port: port2 },
    transferList: [port2],
  });
  await new Promise((up, failed) => worker.once('message', up).once('error', failed));
  try {
    return await work(port1);
  } finally {
    port1.close();
    await worker.terminate();
  }
};

/** One flood of `messages`; resolves when all are acknowledged. */
const flood = (port: MessagePort, job: Job, messages: number, group: number): Promise<void> =>
  new Promise((done) => {
    let sent = 0;
    let known = 0;
    const make = made[job];
    const pump = (): void => {
      while (sent < messages && sent - known + group <= WINDOW) {
        if (group === 1) port.postMessage(make(sent++));
        else {
          const array = new Array<object>(group);
          for (let k = 0; k < group; k++) array[k] = make(sent++);
          port.postMessage(array);
        }
      }
      if (known === messages) {
        port.off('message', heard);
        done();
      }
    };
    const heard = (acknowledged: number): void => {
      known += acknowledged;
      pump();
    };
    port.on('message', heard);
    pump();
  });

/** `messages` and `warm` are multiples of 512, and of `group`. */
export const postedTell = (
  job: Job,
  messages: number,
  warm: number,
  group: number,
): Promise<Figures> =>
  withPeer(async (port) => {
    await flood(port, job, warm, group);
    const beganMs = performance.now();
    await flood(port, job, messages, group);
    return { rate: messages / ((performance.now() - beganMs) / 1000) };
  });

export const postedAsk = (asks: number, warm: number, pauseMs: number): Promise<Figures> =>
  withPeer(async (port) => {
    const us = new Float64Array(asks);
    for (let k = -warm; k < asks; k++) {
      if (pauseMs > 0 && k >= 0) await new Promise((over) => setTimeout(over, pauseMs));
      const sentMs = performance.now();
      const back = new Promise((answered) => port.once('message', answered));
      port.postMessage({ call: k });
      await back;
      if (k >= 0) us[k] = (performance.now() - sentMs) * 1000;
    }
    const sorted = us.sort();
    return { p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
  });

/** A ring of stations, `perThread` of them on each worker, joined by message channels. */
export const postedRing = async (
  stations: number,
  perThread: number,
  tokens: number,
  hops: { readonly warm: number; readonly timed: number },
): Promise<Figures> => {
  const channels = Array.from({ length: stations }, () => new MessageChannel());
  const workers: Worker[] = [];
  let settle: (figures: Figures) => void = () => {};
  const measured = new Promise<Figures>((resolve) => {
    settle = resolve;
  });
  for (let first = 0; first < stations; first += perThread) {
    const own = Array.from({ length: perThread }, (_, k) => ({
      receives: channels[first + k]!.port2,
      sends: channels[(first + k + 1) % stations]!.port1,
    }));
    const ports = own.flatMap(({ receives, sends }) => [receives, sends]);
    const worker = new Worker(new URL('./posted-ring.ts', import.meta.url), {
      workerData: { stations: own, leads: first === 0, tokens, hops },
      transferList: ports,
    });
    worker.on('message', settle);
    workers.push(worker);
  }
  const figures = await measured;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return figures;
};
