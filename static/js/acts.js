// The bar of acts on a phone.
//
//   <a href="#reject" data-opens="act-reject">   leads to a form that may be folded, and unfolds it

document.addEventListener("click", ({ target }) => {
  const link = target.closest("[data-opens]");
  const folded = link && document.getElementById(link.dataset.opens);
  if (folded) folded.open = true;
});
