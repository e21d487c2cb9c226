/** The button beside each password that shows it while one types. */
for (const button of document.querySelectorAll(".reveal")) {
  const input = button.parentElement.querySelector("input");
  const show = (isShown) => {
    input.type = isShown ? "text" : "password";
    button.ariaPressed = String(isShown);
  };
  button.onclick = () => show(input.type === "password");
  // Hidden again before it is sent: browsers offer to keep it, and nobody reads it in what stays on the screen.
  input.form.addEventListener("submit", () => show(false));
  input.form.addEventListener("reset", () => show(false));
}
