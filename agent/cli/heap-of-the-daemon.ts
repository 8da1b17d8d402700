import { growHeapBy, keepNewObjectsFew } from '../small-heap.ts'

// Imported first: most of what the daemon holds is made when its modules are loaded, and nothing shrinks the heap again.
// Other commands end soon, or read whole captures and are quicker with more.
if (process.argv[2] === 'run') {
  growHeapBy(50)
  keepNewObjectsFew()
}
