/** What an actor's module says that it sends and offers, checked, for the main thread to lay the lanes. */
import { type Declaration, isDelivery, isQuestion } from '#native/lanes/fields.ts';
import type { Actor, Address, Sends, ServiceKey } from '../actor.ts';
import { routingFault } from '../mailbox/router.ts';
import type { Place } from './directory.ts';
import type { Sending } from './thread.ts';

const isService = (to: Address | ServiceKey): to is ServiceKey => 'service' in to;

const sendsOf = ({ sends }: Actor, config: unknown): Sends =>
  typeof sends === 'function' ? sends(config) : sends;

/** The names of the services that it uses and offers. */
export const servicesOf = (
  actor: Actor,
  config: unknown,
): { readonly uses: ReadonlySet<string>; readonly offers: ReadonlySet<string> } => ({
  uses: new Set(sendsOf(actor, config).flatMap((to) => (isService(to) ? to.service : []))),
  offers: new Set((actor.offers ?? []).map((key) => key.service)),
});

const ways = (declaration: Declaration): Pick<Sending, 'answers' | 'delivers'> => ({
  answers: Object.values(declaration).some(isQuestion),
  delivers: Object.values(declaration).some(isDelivery),
});

/** Throws a TypeError that names the actor where its module contradicts itself or its place. */
export const sendingsOf = (place: Place, actor: Actor, config: unknown): readonly Sending[] => {
  const from = place.index;
  const { declaration } = actor.self;
  const fault = place.pool === undefined ? undefined : routingFault(place.pool, declaration);
  if (fault !== undefined) throw new TypeError(`pool ${place.pool!.path}: ${fault}`);
  const offered = (actor.offers ?? []).map((key): Sending => {
    // Its messages are read by the layout of its own address: another one would tear them.
    if (key.declaration !== declaration) {
      throw new TypeError(
        `${place.path} offers ${key.service}, whose messages are not those of its address ${actor.self.name}`,
      );
    }
    return { from, actor: key.service, service: 'offered', answers: false };
  });
  const sent = sendsOf(actor, config).map((to): Sending => {
    if (isService(to)) {
      return { from, actor: to.service, service: 'used', ...ways(to.declaration) };
    }
    const branch = to.branch === undefined ? {} : { branch: to.branch };
    return { from, actor: to.name, ...branch, ...ways(to.declaration) };
  });
  return [...offered, ...sent];
};
