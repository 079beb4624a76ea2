# What the program says of itself, made from its table of flags when it has been linked, and installed where man and the shells
# look: sdg(1) in English and Japanese, completions of bash, zsh and fish. A build with sanitizers is not for installing.
if(SDG_SANITIZE OR SDG_FUZZ OR CMAKE_CROSSCOMPILING)
  return()
endif()
set(pages ${CMAKE_BINARY_DIR}/pages)
file(MAKE_DIRECTORY ${pages})
add_custom_command(TARGET sdg POST_BUILD VERBATIM
  BYPRODUCTS ${pages}/sdg.1 ${pages}/sdg.ja.1 ${pages}/sdg.bash ${pages}/_sdg ${pages}/sdg.fish
  COMMAND sh -c "\"$1\" help --man --ui-locale en >sdg.1 && \"$1\" help --man --ui-locale ja >sdg.ja.1 && \
\"$1\" completion bash >sdg.bash && \"$1\" completion zsh >_sdg && \"$1\" completion fish >sdg.fish" sh $<TARGET_FILE:sdg>
  WORKING_DIRECTORY ${pages})
install(FILES ${pages}/sdg.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${pages}/sdg.ja.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/ja/man1 RENAME sdg.1)
install(FILES ${pages}/sdg.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sdg)
install(FILES ${pages}/_sdg DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${pages}/sdg.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
