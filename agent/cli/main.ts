#!/usr/bin/env node
import { runCommandLine } from './program.ts'
import { realDeps } from './real-deps.ts'

process.exitCode = await runCommandLine(process.argv.slice(2), realDeps())
