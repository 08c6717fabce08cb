import { z } from 'zod';

/** What an API may have to show: a node runs all of it, or a part. */
export const PARTS = ['chain', 'feedback', 'enforcement'] as const;

export const config = z.strictObject({
  host: z
    .string()
    .min(1)
    .default('127.0.0.1')
    .describe('Address to listen on: loopback only, as long as the API has no authentication'),
  port: z.int().min(0).max(65_535).default(9441).describe('TCP port; 0 takes a free one'),
  shows: z
    .array(z.enum(PARTS))
    .min(1)
    .default([...PARTS])
    .describe('What runs on this node; a question to anything else gets 503 at once'),
  from: z
    .string()
    .min(1)
    .default('v1')
    .describe('The validator branch whose chain and state the API shows'),
  validators: z
    .array(z.string().min(1))
    .max(100)
    .default(['v1', 'v2', 'v3', 'v4'])
    .describe('Validator branches of this node that are asked for their own view of consensus'),
  operatorTokenFile: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File with the token that may use the kill switch; without it the API writes nothing. Relative to the working directory',
    ),
  answerMs: z
    .int()
    .min(10)
    .max(30_000)
    .default(2000)
    .describe('How long an actor may take for an answer, ms; then the client gets 503'),
  requestsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Requests in hand at once; further ones get 503 with Retry-After'),
  connectionsMax: z
    .int()
    .min(1)
    .max(10_000)
    .default(256)
    .describe('Open TCP connections; further ones are closed at once'),
  requestMs: z
    .int()
    .min(100)
    .max(120_000)
    .default(10_000)
    .describe('How long a client may take to send a request, and the node to answer it, ms'),
  bodyBytesMax: z
    .int()
    .min(1)
    .max(16 << 20)
    .default(64 << 10)
    .describe('Largest request body, bytes; larger ones get 413'),
  liveClientsMax: z
    .int()
    .min(0)
    .max(1000)
    .default(16)
    .describe('Clients of the live stream at once; further ones get 503'),
  liveMs: z.int().min(10).max(60_000).default(1000).describe('Pause between live overviews, ms'),
});

export type ApiConfig = z.output<typeof config>;
