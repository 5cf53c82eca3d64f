// Which test files run once more after `npm test`, and what the second runs mean. A test with real processes can be wrong on a busy machine,
// so a file that failed runs again at the end, when nothing else runs. Invariant: a file counts as green only if a whole run was
// green, and each file that needed a second run is named; more than SECOND_RUNS_MAX failed files stay red without a second run.

/** Each file that needs a second run is a defect: so many may wait for their mend. */
export const SECOND_RUNS_MAX = 3;

/** The files to run once more: none if too many failed, or if an error belongs to no file, which no second run could clear. */
export function filesToRepeat(counts) {
  const failed = counts.filter(({ failures }) => failures.length > 0).map(({ file }) => file);
  return failed.includes(null) || failed.length > SECOND_RUNS_MAX ? [] : failed;
}

/**
 * The counts with those of the second runs (file -> its counts; undefined if the run left none) in place of the first ones, and the lines
 * that name the files. A second run that skips or leaves out a test does not clear a failure: its file stays as it was.
 */
export function afterSecondRuns(counts, second) {
  const lines = [];
  const merged = counts.map((first) => {
    if (!second.has(first.file)) return first;
    const again = second.get(first.file);
    if (isGreen(again) && again.passed >= first.ran) {
      lines.push(`needed a second run: ${first.file}: ${first.failures[0].name}: ${first.failures[0].error}`);
      return again;
    }
    lines.push(`failed in both runs: ${first.file}`);
    return first;
  });
  return { counts: merged, lines };
}

function isGreen(counts) {
  return counts !== undefined && counts.failures.length === 0 && counts.passed > 0;
}
