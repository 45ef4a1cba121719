// Where a version comes from, and what came of it, as a tree of lines.

import { el, short, utc } from "./elements.js";

const GONE = "no longer kept";

const item = (text, children = []) => el("li", {}, text, children.length ? el("ul", {}, children) : null);

/** The lineage that the API tells, as nested lists. */
export function lineageTree({ version, registered, aliases, origin, ancestors, later }) {
  const lines = [
    ...aliases.map((alias) => item(`${alias.alias} since ${utc(alias.timestamp)}: ${alias.reason}`)),
    registered.promotion ? item(registered.promotion.reason) : null,
    item(`artifact ${registered.artifact}, SHA-256 ${registered.sha256.slice(0, 12)}…`),
    registered.actor ? item(`registered by ${registered.actor}`) : null,
    origin ? originOf(origin) : null,
    ancestors.length ? item(`made from version ${ancestors.join(" ◀ ")}`) : null,
    ...laterOf(later),
  ];
  return el("ul", {}, item(`version ${version}, registered ${utc(registered.timestamp)}`, lines.filter(Boolean)));
}

function originOf({ request, request_id, causes, study }) {
  const best = study?.finished?.best_trial_id;
  const trials = (study?.trials ?? []).filter((trial) => trial.trial_id === best);
  const asked = request ? item(`request of ${utc(request.timestamp)}: ${request.reason}`, causes.map(causeOf)) : item(`request ${request_id}: ${GONE}`);
  const tried = trials.map((trial) => item(`trial ${trial.number} won: ${short(trial.score)}`));
  return item(study ? `study of ${study.trials.length} trials` : `study: ${GONE}`, [...tried, asked]);
}

function causeOf({ event_id, finding, input }) {
  if (!finding) return item(`${event_id}: ${GONE}`);
  const measured = finding.metric ? `${finding.metric} ${short(finding.value)}` : `p = ${short(finding.p_value)}`;
  const record = input ? [item(`record ${input.topic}/${input.partition}@${input.offset}`)] : [];
  return item(`${finding.type.replaceAll("_", " ")} at ${utc(finding.timestamp)}: ${measured}`, record);
}

function laterOf({ findings, requests, versions }) {
  return [
    findings.length ? item(`${findings.length} findings about it`) : null,
    ...requests.map((each) => item(`request of ${utc(each.timestamp)}: ${each.reason} ▶ ${each.version ? `version ${each.version}` : "no version (yet)"}`)),
    versions.length ? item(`made from it: version ${versions.join(", ")}`) : null,
  ];
}
