// Converts the answer of an rsapp to the applications of a picture. Pure.
// Invariant: an application is reported by the client on which this rsapp runs, and by no other one.

import type { ApplicationsView } from '@rsio/api/rsapp/app-methods';
import { applicationId, clientId } from '../model/ids.ts';
import type { Application } from '../model/picture.ts';

export function applicationsIn({ node, drained, applications }: ApplicationsView): Application[] {
  const reporter = clientId(node);
  return applications.map(({ name, on, next, nodes, ...view }) => ({
    id: applicationId(reporter, name),
    name,
    reporter,
    isDrained: drained,
    on: on === null ? null : clientId(on),
    next: next === null ? null : clientId(next),
    nodes: nodes.map(clientId),
    ...view,
  }));
}
