/** The HTTP API has no messages of other actors: its mailbox is HTTP. */
import { address } from '#runtime/actor.ts';

export const api = address('api', {});
