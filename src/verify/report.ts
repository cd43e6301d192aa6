/** What a verification found: checks, each with its worst difference and how much is allowed. */

/** One thing that was checked. */
export interface VerifyCheck {
  readonly name: string;
  readonly passed: boolean;
  /** The largest difference found; null where there is no number to give, or none could be computed. */
  readonly worst: number | null;
  /** How large it may be; null where there is no number. */
  readonly tolerance: number | null;
  /** What was looked at, or what is wrong. */
  readonly detail: string;
}

/** The whole verdict. */
export interface VerifyReport {
  readonly model: string;
  /** What it was compared with, where it was. */
  readonly against: string | null;
  /** Whether every check passed. */
  readonly passed: boolean;
  readonly checks: readonly VerifyCheck[];
}

/** Collects checks and tells of each as it is decided. */
export class CheckList {
  readonly checks: VerifyCheck[] = [];
  readonly #onCheck: (check: VerifyCheck) => void;

  constructor(onCheck: (check: VerifyCheck) => void = () => {}) {
    this.#onCheck = onCheck;
  }

  get passed(): boolean {
    return this.checks.every((check) => check.passed);
  }

  /** Passes where the difference is a number within the tolerance, which may be infinite: then the number is only told. */
  compare(name: string, worst: number, tolerance: number, detail: string): void {
    this.#add({
      name,
      passed: Number.isFinite(worst) && worst <= tolerance,
      worst: finiteOrNull(worst),
      tolerance: finiteOrNull(tolerance),
      detail,
    });
  }

  /** A check that is either right or wrong. */
  decide(name: string, passed: boolean, detail: string): void {
    this.#add({ name, passed, worst: null, tolerance: null, detail });
  }

  #add(check: VerifyCheck): void {
    this.checks.push(check);
    this.#onCheck(check);
  }
}

/** JSON knows no infinity. */
function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
