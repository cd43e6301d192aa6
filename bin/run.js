#!/usr/bin/env node
// Starts the command line from its bundle, which `npm run build` makes.
import { main } from '../dist/cli.js';

await main();
