// The dialog that asks for a name: once, and when its owner wants another.

const dialog = document.getElementById("name-dialog");
const input = document.getElementById("name");
const take = document.getElementById("take-name");
const cancel = document.getElementById("keep-name");

/** Ask, and give the name; "" if the person keeps the one they have. */
export function askName(known) {
  input.value = known;
  cancel.hidden = !known;
  take.textContent = known ? "Save" : "Join the chat";
  dialog.returnValue = "";
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", function closed() {
      const name = dialog.returnValue ? input.value.trim() : "";
      if (!name && !known) return dialog.showModal(); // nobody is here without a name
      dialog.removeEventListener("close", closed);
      resolve(name);
    });
  });
}

cancel.addEventListener("click", () => dialog.close());
input.addEventListener("input", () => {
  input.setCustomValidity(input.value.trim() ? "" : "A name has at least one character.");
});
