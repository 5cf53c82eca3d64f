// Asks the person at the terminal. The question goes to stderr, because stdout has the output of the command. Invariant: without a
// terminal, no question is asked.

import { createInterface } from 'node:readline';

/** Asks a question and returns the answer; '' if the person ends the input. Returns null if stdin is not a terminal. */
export function personAtTerminal(): ((question: string) => Promise<string>) | null {
  if (!process.stdin.isTTY) return null;
  return (question) => {
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    return new Promise((resolve) => {
      lines.on('close', () => resolve(''));
      lines.question(question, (answer) => {
        resolve(answer);
        lines.close();
      });
    });
  };
}
