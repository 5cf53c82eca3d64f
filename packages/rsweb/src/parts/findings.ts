// Shows faults with their remedies at the top of pages. Pure. Invariant: each command of a remedy is on a separate line, so that it can be
// copied and run unchanged.

import { plural } from '@rsio/base/lib/units';
import type { Finding } from '../model/picture.ts';
import { sinceText } from '../markup/figures.ts';
import { type Html, html } from '../markup/html.ts';
import { FINDINGS_SHOWN } from '../limits.ts';
import { stateBadge } from '../markup/state.ts';

/**
 * Returns the findings as a part of a page. `none`: the sentence that is shown if there are no findings; null if nothing is shown in that
 * case.
 */
export function findingsPart(findings: readonly Finding[], nowMs: number, none: string | null): Html | null {
  if (findings.length === 0)
    return none === null
      ? null
      : html`<section id="findings" aria-labelledby="findings-head"><h2 id="findings-head" class="hidden">What is wrong</h2>
<p class="well"><span aria-hidden="true">\u2714</span> ${none}</p></section>`;
  const shown = findings.slice(0, FINDINGS_SHOWN);
  const more = findings.length - shown.length;
  return html`<section id="findings" aria-labelledby="findings-head"><h2 id="findings-head">What is wrong <small>${summaryOf(findings)}</small></h2>
<ul class="findings">${shown.map((finding) => findingItem(finding, nowMs))}</ul>${more > 0 && html`<p>${plural(more, 'further finding')} follow once these are settled.</p>`}</section>`;
}

/** Returns a text such as `2 errors, 1 warning`. */
export function summaryOf(findings: readonly Finding[]): string {
  const count = (severity: Finding['severity']): number => findings.filter((finding) => finding.severity === severity).length;
  return `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}`;
}

function findingItem({ id, severity, what, where, remedy, commands, href, sinceMs }: Finding, nowMs: number): Html {
  const place = href === null ? html`${where}` : html`<a href="${href}">${where}</a>`;
  return html`<li class="finding ${severity === 'error' ? 'bad' : 'warn'}" id="finding-${id}">
<p class="what">${stateBadge(severity)} <strong>${what}</strong></p>
<p class="where">${place}${sinceMs !== null && html`, for ${sinceText(sinceMs, nowMs)}`}</p>
${remedy !== '' && html`<p class="remedy"><span class="label">Remedy:</span> ${remedy}</p>`}
${commands.map((command) => html`<pre class="command"><code>${command}</code></pre>`)}</li>\n`;
}
