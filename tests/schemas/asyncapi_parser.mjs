// node asyncapi_parser.mjs PARSER DOCUMENT: what AsyncAPI's official parser finds wrong; exit 1 if anything is.
// Information (severity 2 and above), such as that there is a newer version of AsyncAPI, is shown and is nothing wrong.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [parserFolder, file] = process.argv.slice(2);
const { Parser } = createRequire(import.meta.url)(parserFolder);
const { document, diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'));
for (const each of diagnostics) console.log(`${each.code} at ${each.path.join('.')}: ${each.message}`);
process.exit(document && diagnostics.every((each) => each.severity > 1) ? 0 : 1);
