// What rsiod measured on its paths when it was asked to test them.
// Leaves the words of a measurement to report-text.ts.

import type { TestScreen } from '../model/state.ts';
import { type Page, textRow } from './page.ts';

export function testPage({ lines }: TestScreen): Page {
  return {
    title: lines === null ? 'Test paths: measuring ...' : 'Test paths',
    rows: lines === null ? [textRow('rsiod measures one path after the other')] : lines.map((line) => textRow(line)),
    actions: [],
    hint: 'Esc goes back',
    help: {
      title: 'Test paths',
      text: 'Measures every path of the running rsiod over separate connections, while I/O continues: round trip, rate in each direction, MTU, and the device through which the data actually leaves.',
    },
  };
}
