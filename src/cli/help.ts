/** Help pages: oclif's, with commands in our order and the environment explained once. */

import { type Command, CommandHelp, Help } from '@oclif/core';

/** A command's page, with three of oclif's habits mended. */
class CommandPage extends CommandHelp {
  /** Leaves the summary out, which stands at the page's top already. */
  protected override description(): string | undefined {
    const { description } = this.command;
    return description === undefined ? undefined : this.wrap(this.render(description));
  }

  /** Leaves `[env: …]` out: every flag has a variable of its name, and the root page says so once. */
  protected override flags(flags: Command.Flag.Any[]): [string, string | undefined][] | undefined {
    return super.flags(flags.map(({ env: _, ...flag }) => flag as Command.Flag.Any));
  }

  /** Keeps the first line's indentation, so that a flag without a letter lines up with those that have one. */
  override renderList(...[input, options]: Parameters<CommandHelp['renderList']>): string {
    const indentation = /^ */.exec(input[0]?.[0] ?? '')?.[0] ?? '';
    return indentation + super.renderList(input, options);
  }
}

/** A help class for oclif that lists commands in the order of `ids`. */
export function helpInOrder(ids: readonly string[]): typeof Help {
  return class extends Help {
    protected override CommandHelpClass = CommandPage;

    protected override get sortedCommands(): Command.Loadable[] {
      return super.sortedCommands.sort((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id));
    }

    protected override async showRootHelp(): Promise<void> {
      await super.showRootHelp();
      this.log(
        this.section(
          'ENVIRONMENT',
          this.wrap(
            'Every flag can be set by a variable: --max-tokens by RECGEMMA_MAX_TOKENS. A flag on the command line wins.\n' +
              'NO_COLOR, CI, TERM=dumb, HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured. RECGEMMA_CACHE moves the cache of packed weights, RECGEMMA_PREPACK=0 turns it off.',
          ),
        ),
      );
      this.log(`\nSee ${this.config.bin} COMMAND --help for a command's flags and examples.`);
    }
  };
}
