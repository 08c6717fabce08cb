/** Which composer answers which request. */
import { unreachable } from '#proto/result.ts';
import { composeAnomalies, composeAnomaly } from './anomaly-answers.ts';
import type { Answers, Context, Outcome } from './answers.ts';
import {
  composeBlock,
  composeBlocks,
  composeLatest,
  composeReady,
  composeRoot,
  composeState,
} from './chain-answers.ts';
import { composeConsensus, composeValidator, composeValidators } from './committee-answers.ts';
import { composeHand, composeKillSwitch } from './kill-switch-answers.ts';
import { composeOverview } from './overview.ts';
import { composePolicies, composePolicy } from './policy-answers.ts';
import type { Request } from './request.ts';

export const compose = (request: Request, have: Answers, c: Context): Outcome => {
  switch (request.kind) {
    case 'ready':
      return composeReady(have, c);
    case 'blocks':
      return composeBlocks(request, have, c);
    case 'latestBlock':
      return composeLatest(have, c);
    case 'block':
      return composeBlock(request.height, have, c);
    case 'stateRoot':
      return composeRoot(have, c);
    case 'state':
      return composeState(request, have, c);
    case 'validators':
      return composeValidators(have, c);
    case 'validator':
      return composeValidator(request.id, have, c);
    case 'anomalies':
      return composeAnomalies(request, have, c);
    case 'anomaly':
      return composeAnomaly(request.id, have, c);
    case 'policies':
      return composePolicies(request, have, c);
    case 'policy':
      return composePolicy(request.id, have, c);
    case 'consensus':
      return composeConsensus(have, c);
    case 'killSwitch':
      return composeKillSwitch(have, c);
    case 'brake':
    case 'release':
      return composeHand(request, have, c);
    case 'overview':
      return composeOverview(request.system, have, c);
    default:
      return unreachable(request);
  }
};
