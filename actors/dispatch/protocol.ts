/** Carries committed policies and commit notices to the bus. Nobody writes to it: it pulls the chain. */
import { address } from '#runtime/actor.ts';

export const dispatch = address('dispatch', {});
