// Loaded before the page is drawn, so that it never flashes in the wrong colours.
try {
  const theme = localStorage.getItem("chat.theme");
  if (theme) document.documentElement.dataset.theme = JSON.parse(theme);
} catch {
  // Storage is forbidden: the system's colours it is.
}
