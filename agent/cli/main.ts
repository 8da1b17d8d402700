#!/usr/bin/env node
import './heap-of-the-daemon.ts'
import { runCommandLine } from './program.ts'
import { realDeps } from './real-deps.ts'

process.exitCode = await runCommandLine(process.argv.slice(2), realDeps())
