// The server's part of crsio: the pages for rssrv on this machine. server/ holds what it shows and does. Invariant: it draws only while it is
// shown, and looks at rssrv as long as crsio runs.

import type { RssrvPaths } from '@rsio/common/config/root-paths';
import { hasTouchedForm, type ServerState, startServerState } from './server/model/state.ts';
import type { ServerAction, ServerEffect } from './server/model/step.ts';
import { drawServerState } from './server/server-view.ts';
import { updateServer } from './server/update/update.ts';
import { runServerEffect } from './server/work/effects.ts';
import { systemServerPorts } from './server/work/system-ports.ts';
import { Session } from './session.ts';
import type { Part, Parts } from './start/parts.ts';
import type { Display } from './terminal/display.ts';
import type { Signs } from './widgets/border.ts';

export function serverPart(paths: RssrvPaths, parts: Parts, display: Display, signs: Signs): Part {
  const ports = systemServerPorts(paths, { showStart: () => parts.show('start'), end: () => parts.leaveFrom('server') });
  const { clock } = ports;
  const session = new Session<ServerState, ServerAction, ServerEffect>(
    startServerState({
      configFile: paths.configFile,
      startCommand: paths.root === '' ? 'rssrv' : `rssrv --root ${paths.root}`,
      hasStart: parts.hasStart,
      size: display.size,
      nowMs: clock.monotonicMs(),
      wallMs: clock.wallMs(),
    }),
    {
      clock,
      update: updateServer,
      draw: (state) => {
        if (parts.isShown('server')) display.draw(drawServerState(state, signs));
      },
      run: (effect, dispatch) => runServerEffect(effect, ports, dispatch),
    },
  );
  session.start();
  session.dispatch({ kind: 'tick', nowMs: clock.monotonicMs(), wallMs: clock.wallMs() });
  return {
    dispatch: (action) => session.dispatch(action),
    redraw: () => session.redraw(),
    isUnsaved: () => hasTouchedForm(session.state),
  };
}
