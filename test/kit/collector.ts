/** An OpenTelemetry collector as far as its HTTP receiver goes: keeps what it is sent, and answers as the test says. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Received = {
  readonly path: string;
  readonly headers: { readonly [name: string]: string | string[] | undefined };
  // biome-ignore lint/suspicious/noExplicitAny: the test looks into whatever was sent
  readonly body: any;
};

export type Collector = {
  readonly url: string;
  readonly received: readonly Received[];
  /** Status and body of the next answers, to one path alone where it is given; 200 and `{}` at first. */
  answer(status: number, body?: string, only?: string): void;
  close(): Promise<void>;
};

export const openCollector = async (): Promise<Collector> => {
  const received: Received[] = [];
  const usual = { status: 200, body: '{}' };
  let next: { status: number; body: string; only: string | undefined } | undefined;
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    request.on('end', () => {
      received.push({ path: request.url ?? '', headers: request.headers, body: JSON.parse(text) });
      const isMeant = next?.only === undefined || next.only === request.url;
      const { status, body } = (isMeant && next) || usual;
      response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    answer: (status, body = '{}', only = undefined) => {
      next = { status, body, only };
    },
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
};
