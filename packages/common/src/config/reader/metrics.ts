// Reads the keys about metrics of both configuration files. Invariant: an address that other machines can reach needs a token, so that a
// mistyped address does not publish the metrics. No message shows the token.

import { isLoopback } from '@rsio/base/lib/subnet';
import { printEndpoint, quoteText } from '@rsio/base/lib/units';
import type { MetricsConfig } from '../schema/types.ts';
import type { EndpointConfig } from '../schema/value-types.ts';
import type { Findings } from './findings.ts';

interface MetricsReader<K extends string> {
  lineOf(key: K | 'metrics-token'): number;
}

/** Returns the settings of the metrics; null if metrics are off. `endpoint` and `token` are the values of `key` and metrics-token. */
export function readMetrics<const K extends string = 'metrics'>(
  endpoint: EndpointConfig | null,
  token: string | null,
  reader: MetricsReader<K>,
  findings: Findings,
  key: K = 'metrics' as K,
): MetricsConfig | null {
  if (endpoint === null) return null;
  const line = reader.lineOf(key);
  const place = printEndpoint(endpoint.address, endpoint.port);
  if (token === null && !isLoopback(endpoint.address))
    findings.problem(
      line,
      `${key} = ${quoteText(place)} without metrics-token: other machines can reach this address. Add "metrics-token = TEXT" (rsconfig key new makes one), or use 127.0.0.1`,
    );
  const demand = { setting: `${key} = ${place}`, line, remedy: 'and Prometheus gets it as credentials_file' };
  findings.checkLength(reader.lineOf('metrics-token'), 'metrics-token', token, demand);
  return { ...endpoint, token };
}
