// What the servers of the sample picture tell for the page /impact. Made: one server does not answer, and one text has markup.

import type { ImpactServer } from '@rsio/api/manage/impact';
import { sharedPool, volume } from '@rsio/api/testing/server-views';
import type { Told } from '../impact/server-facts.ts';
import { MARKUP } from './sample-faults.ts';

const NAMESPACE = 'osl';

export function sampleTold(trouble: string | null = null): Told {
  const held = (node: string) => [{ node, address: null, sinceMs: 0 }] as unknown as ReturnType<typeof volume>['holders'];
  const server = (name: string, changes: Partial<ImpactServer>): ImpactServer => ({
    ...{ namespace: NAMESPACE, server: name, trouble: null, volumes: [], shared: [], replications: [] },
    ...changes,
  });
  const fast = sharedPool({
    name: 'farm',
    owner: 'atlas',
    next: 'rhea',
    owners: ['atlas', 'rhea'].map((one) => ({ server: one, isThere: true })),
  });
  const servers = [
    server('atlas', {
      volumes: [
        volume({ name: 'oracle', id: 'v1', pool: 'bulk', holders: held('db-01') }),
        volume({ name: 'logs', id: 'v2', pool: 'farm', holders: held('web-07') }),
        volume({ name: 'old', id: 'v3', pool: 'bulk', holders: [] }),
      ],
      shared: [fast],
    }),
    server('rhea', { shared: [{ ...fast, isHere: false }] }),
    server('themis', { trouble: `no answer within 15 s ${MARKUP}` }),
  ];
  const facts = { servers, mirrors: [], gaps: [], paths: [], gates: [], applications: [] };
  return { namespaces: trouble === null ? [{ namespace: NAMESPACE, facts }] : [], trouble };
}
