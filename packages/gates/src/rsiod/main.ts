// The program rsiod: the daemon together with its gates.

import { runRsiod } from '@rsio/rsiod/main';
import { newGates } from './new-gates.ts';

runRsiod(newGates);
