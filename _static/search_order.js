/* Search puts chapters before the names of functions: Sphinx takes this scale instead of its own. */
var Scorer = {
  score: ([docname, , , , score]) => (docname.startsWith("chapters/api") ? score - 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
